package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/scepter-pki/scepter/test/golden"
	"github.com/scepter-pki/scepter/test/stock"
)

// installed installs the clients, once, if that is possible and needed. They are what
// is tested with: a machine without them fails the tests.
var installed = sync.OnceValue(func() error {
	return stock.Install(context.Background(), slices.Concat(stock.CertmongerPackages, stock.OpenSSLPackages)...)
})

func mustInstall(t *testing.T) {
	t.Helper()
	if err := installed(); err != nil {
		t.Fatal(err)
	}
}

// TestInterop runs every client through every case and every way that it has to
// enrol. What it sees must be what the page says.
func TestInterop(t *testing.T) {
	mustInstall(t)
	bin := t.TempDir()
	if err := stock.BuildModules(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	all := clients(bin)
	seen := make([]sightings, len(all))
	t.Run("client", func(t *testing.T) {
		for i, c := range all {
			seen[i] = newSightings(c)
			t.Run(c.name+" "+c.version(t), func(t *testing.T) {
				t.Parallel()
				seen[i].run(t, c)
			})
		}
	})
	// Part of the tests, chosen with -run, leaves cells empty.
	if !t.Failed() && !slices.ContainsFunc(seen, sightings.incomplete) {
		golden.Compare(t, page, fill(t, map[string]string{"clients": clientsTable(t, all, seen), "algorithms": algorithmsTable(t, all, seen)}))
	}
}

// sightings are what was seen of one client: a cell for each case, a row for each way.
type sightings struct {
	cells []string
	rows  [][]string
}

func newSightings(c client) sightings {
	return sightings{make([]string, len(cases)), make([][]string, len(c.ways))}
}

func (s sightings) run(t *testing.T, c client) {
	for i, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			s.cells[i] = each.try(t, c)
		})
	}
	for i, w := range c.ways {
		t.Run("enrol, "+w.told, func(t *testing.T) {
			t.Parallel()
			s.rows[i] = enrolsBy(t, w)
		})
	}
}

func (s sightings) incomplete() bool {
	return slices.Contains(s.cells, "") || slices.ContainsFunc(s.rows, func(row []string) bool { return row == nil })
}

func clientsTable(t *testing.T, all []client, seen []sightings) string {
	header := []string{"Client", "Version", "From"}
	for _, each := range cases {
		header = append(header, each.name)
	}
	var rows [][]string
	for i, c := range all {
		row := append([]string{c.name, c.version(t), c.from}, seen[i].cells...)
		rows = append(rows, append(row, c.legacy.String()))
	}
	return table(append(header, "`legacyAlgorithms`"), rows)
}

func algorithmsTable(t *testing.T, all []client, seen []sightings) string {
	header := []string{
		"Client", "Told", "Content cipher", "Key transport", "Digest", "Signature",
		"Answer: cipher, key transport, digest", "`legacyAlgorithms`",
	}
	var rows [][]string
	for i, c := range all {
		for _, row := range seen[i].rows {
			rows = append(rows, append([]string{fmt.Sprintf("%s %s", c.name, c.version(t))}, row...))
		}
	}
	return table(header, rows)
}
