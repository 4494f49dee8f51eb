package raconfig_test

import (
	"reflect"
	"testing"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

func TestLastGoodFilesComeBack(t *testing.T) {
	t.Parallel()
	for _, want := range []raconfig.LastGood{
		{},
		{Config: "version: v1\n", Revisions: []string{"corp-ra-5d9c7b6f4-"}},
		{Config: "version: v1\n", Revisions: []string{"corp-ra-5d9c7b6f4-", "corp-signer-7f8d9c6b5-"}},
	} {
		if got := raconfig.ReadLastGood(want.Files()); got.Config != want.Config || len(got.Revisions) != len(want.Revisions) ||
			len(want.Revisions) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestWhoGoesBack: a server of the same revision, and nobody else.
func TestWhoGoesBack(t *testing.T) {
	t.Parallel()
	good := raconfig.LastGood{Config: "version: v1\n", Revisions: []string{
		raconfig.RevisionOf("corp-ra-5d9c7b6f4-x2x7k"),
		// A longer name leaves no room for the last dash.
		raconfig.RevisionOf("an-endpoint-of-exactly-forty-characters0-signer-5d9c7b6f44x2x7k"),
	}}
	for pod, want := range map[string]bool{
		"corp-ra-5d9c7b6f4-zzzzz": true,
		"corp-ra-7f8d9c6b5-x2x7k": false,
		"an-endpoint-of-exactly-forty-characters0-signer-5d9c7b6f44zzzzz": true,
		"an-endpoint-of-exactly-forty-characters0-signer-7f8d9c6b54x2x7k": false,
		"x2x7k": false,
		"":      false,
	} {
		if got := good.Fits(pod); got != want {
			t.Errorf("%q: %t, want %t", pod, got, want)
		}
	}
	if (raconfig.LastGood{Revisions: good.Revisions}).Fits("corp-ra-5d9c7b6f4-zzzzz") {
		t.Error("it goes back to nothing")
	}
}
