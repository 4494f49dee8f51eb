package pathform

import (
	"slices"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path         string
		asks, served bool
		want         Form
	}{
		{"/scep", true, true, SCEP},
		{"/SCEP/device/pkiclient.exe", true, true, SCEP},
		{"/scep", false, true, SCEP}, // a person with a browser
		{"/scep/mscep.dll", true, false, UnknownTemplate},
		{"/scep/lapotp", true, false, UnknownTemplate},
		{"/certsrv/mscep/mscep.dll", true, true, NDES},
		{"/CertSrv/mscep/mscep.dll/pkiclient.exe", true, true, NDES},
		{"/certsrv/mscep", true, true, NDESFolder},
		{"/certsrv/mscep/", true, true, NDESFolder},
		{"/certsrv/mscep/pkiclient.exe", true, true, NDESFolder},
		{"/certsrv/mscep_admin/", false, true, AdminPage},
		{"/cgi-bin/pkiclient.exe", true, true, CGI},
		{"/", true, true, Root},
		{"/", false, true, Root},
		{"", true, true, Root},
		{"//scep", true, true, DoubledSlash},
		{"/certsrv//mscep/mscep.dll", true, true, DoubledSlash},
		{"/scep ", true, true, Space},
		{"/scep\u00a0", true, true, Space},
		{"/scep\x00", true, true, Space},
		{"/scep?operation=GetCACaps", false, false, EncodedQuery},
		{"/ejbca/publicweb/apply/scep/pkiclient.exe", true, true, Other},
		{"/.env", false, true, Foreign},
		{"/wp-login.php", false, true, Foreign},
		{"/wp-login.php", true, true, Other}, // it posts
	} {
		got := Of(Request{Path: c.path, Asks: c.asks, Served: c.served})
		if got != c.want {
			t.Errorf("%q is %s, want %s", c.path, got, c.want)
		}
		if !slices.Contains(All(), got) {
			t.Errorf("%s is not listed", got)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("/scep", true, true)
	f.Fuzz(func(t *testing.T, path string, asks, served bool) {
		if got := Of(Request{path, asks, served}); !slices.Contains(All(), got) {
			t.Errorf("%q is %s", path, got)
		}
	})
}
