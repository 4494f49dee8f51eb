package e2e

import (
	"fmt"
	"testing"

	"github.com/scepter-pki/scepter/test/stock"
)

// came is what the servers counted of requests.
type came struct{ paths, agents map[string]uint64 }

// countRequests adds up what each server says.
func countRequests(t *testing.T) came {
	t.Helper()
	sum := came{map[string]uint64{}, map[string]uint64{}}
	for _, pod := range servers(t) {
		status, err := serverStatus(t.Context(), t, pod.Name)
		if err != nil {
			t.Fatal(err)
		}
		for form, n := range status.Paths {
			sum.paths[form] += n
		}
		for agent, n := range status.UserAgents {
			sum.agents[agent] += n
		}
	}
	return sum
}

// urlUser is a client, the URL in its profile, and by what it is to be found.
type urlUser struct {
	name, url, form, agent, family string
	use                            func(t *testing.T, url string)
}

// TestF43WhichURLWasUsed has clients of others and our own ask by different URLs, one of
// them mistaken: the counts tell which form of URL, which program and which family it was.
func TestF43WhichURLWasUsed(t *testing.T) {
	row := failureRow(t, "F43")
	for _, u := range []urlUser{
		{"scepclient as at NDES", "/certsrv/mscep/mscep.dll", "NDES", "Go-http-client/1", "scepclient", enrolsWith("scepclient")},
		{"strongSwan as at a router's CA", "/cgi-bin/pkiclient.exe", "CGI", "None", "strongSwan", enrolsWith("strongSwan")},
		{"our client", "/scep", "SCEP", "scepter", "Scepter", func(t *testing.T, url string) {
			mustEnrol(t, newClient(url, shared.rig.Dial), enrolment(t, newName()))
		}},
	} {
		t.Run(u.name, u.mustBeCounted)
	}
	row.Used("three URLs")
	mistaken := urlUser{"a phone", "/certsrv/mscep", "NDESFolder", "Darwin/18", "Apple", asksAsPhone}
	t.Run(mistaken.name, mistaken.mustBeCounted)
	row.Used("a mistaken URL")
}

func (u *urlUser) mustBeCounted(t *testing.T) {
	byFamily := fmt.Sprintf("scepter_ra_paths_total{family=%q,form=%q", u.family, u.form)
	before, families := countRequests(t), sumOfServers(t, byFamily)
	u.use(t, "http://"+host+u.url)
	after := countRequests(t)
	if after.paths[u.form] <= before.paths[u.form] {
		t.Errorf("the form %s went from %d to %d: %v", u.form, before.paths[u.form], after.paths[u.form], after.paths)
	}
	if after.agents[u.agent] <= before.agents[u.agent] {
		t.Errorf("the program %s went from %d to %d: %v", u.agent, before.agents[u.agent], after.agents[u.agent], after.agents)
	}
	if now := sumOfServers(t, byFamily); now <= families {
		t.Errorf("%s} went from %v to %v", byFamily, families, now)
	}
}

// enrolsWith is a client of All by its name.
func enrolsWith(name string) func(*testing.T, string) {
	return func(t *testing.T, url string) {
		var names []string
		for _, c := range shared.clients {
			names = append(names, c.Name())
			if c.Name() != name {
				continue
			}
			r := request("http")
			r.URL = url
			mustEnrolStock(t, c, r)
			return
		}
		t.Fatalf("no client %s among %v", name, names)
	}
}

func mustEnrolStock(t *testing.T, c stock.Client, r stock.Request) {
	t.Helper()
	got, err := c.Enrol(within(t, enrolLimit), t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	mustBeOurs(t, got.Certificate)
}

// asksAsPhone asks one question, as a phone whose profile lacks mscep.dll.
func asksAsPhone(t *testing.T, url string) {
	c := newClient(url, shared.rig.Dial)
	c.HTTP.Transport = agent{phoneAgent, c.HTTP.Transport}
	if _, err := c.GetCACaps(within(t, enrolLimit)); err != nil {
		t.Fatal(err)
	}
}
