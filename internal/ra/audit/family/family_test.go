package family

import (
	"slices"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		agent string
		shape Shape
		want  Family
	}{
		{"macOS", "mdmclient/863 CFNetwork/760.9 Darwin/15.6.0 (x86_64)", Shape{}, Apple},
		{"iOS", "profiled/1.0 CFNetwork/975.0.3 Darwin/18.2.0", Shape{Method: "GET", Operation: "GetCACert", Message: "SCEP Authority"}, Apple},
		{"iOS without agent", "", Shape{Message: "SCEP Authority"}, Apple},
		{"Windows", "Mozilla/4.0 (compatible; Win32; NDES client)", Shape{Message: "default"}, Windows},
		{"Windows 10", "Mozilla/4.0 (compatible; Win32; NDES client 10.0.19041.746/vb_release_svc_prod1)", Shape{Method: "POST"}, Windows},
		{"Windows without agent", "", Shape{Message: "default"}, Windows},
		{"Windows by its path", "", Shape{Path: "/CertSrv/mscep/mscep.dll/pkiclient.exe", Operation: "PKIOperation"}, Windows},
		{"a router at the path of Windows", "RouterX/1", Shape{Path: "/CertSrv/mscep/mscep.dll/pkiclient.exe"}, Other},
		{"IOS", "Mozilla/4.0 (compatible; MSIE 5.0; Cisco PKI)", Shape{HTTP10: true, Path: "/scep/pkiclient.exe", Message: "ca"}, Cisco},
		{"IOS without agent", "", Shape{HTTP10: true, Path: "/cgi-bin/pkiclient.exe"}, Cisco},
		{"IOS by its algorithms", "", Shape{Cipher: "DES-CBC", Digest: "MD5"}, Cisco},
		{"Android", "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A.230805.001)", Shape{Message: "ca"}, AndroidJscep},
		{"jscep", "Java/1.8.0_292", Shape{}, AndroidJscep},
		{"jscep without agent", "", Shape{Message: "ca"}, AndroidJscep},
		{"ChromeOS", "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36", Shape{}, ChromeOS},
		{"RouterOS", "", Shape{Message: "DummyCAIdentity"}, MikroTik},
		{"RouterOS by its transaction", "", Shape{Method: "GET", TransactionID: "746c854d25260b30133f55872bf0c0467fd3fa26ec82cb6d377a79f1e80b4953"}, MikroTik},
		{"Junos", "Junos SRX", Shape{}, Juniper},
		{"strongSwan asks", "", Shape{Method: "GET", Operation: "GetCACaps", Accept: "*/*"}, StrongSwan},
		{"strongSwan enrols", "", Shape{Method: "POST", Operation: "PKIOperation", Accept: "*/*"}, StrongSwan},
		{"certmonger asks", "", Shape{Method: "GET", Operation: "GetCACert", Message: "0", Accept: "*/*"}, Certmonger},
		{"certmonger enrols", "", Shape{Method: "GET", Operation: "PKIOperation", Accept: "*/*"}, Certmonger},
		{"sscep", "", Shape{Method: "GET", Operation: "GetCACert", Message: "CAIdentifier"}, SSCEP},
		{"sscep of old", "", Shape{HTTP10: true, Path: "/scep", Message: "Inverse"}, SSCEP},
		{"scepclient", "Go-http-client/1.1", Shape{Method: "POST"}, Scepclient},
		{"curl", "curl/7.88.1", Shape{Accept: "*/*"}, OpenSSL},
		{"ours", "scepter-ra/v1", Shape{}, Scepter},
		{"a browser", "Mozilla/5.0 (X11; Linux x86_64)", Shape{Accept: "text/html"}, Other},
		{"nothing", "", Shape{}, Other},
	} {
		if got := Of(c.agent, c.shape); got != c.want {
			t.Errorf("%s is %s, want %s", c.name, got, c.want)
		}
	}
}

// TestTable finds rows that can never be reached, and families without a row.
func TestTable(t *testing.T) {
	t.Parallel()
	has := map[Family]bool{Other: true}
	for i, r := range rows {
		has[r.family] = true
		if r.source == "" || r.agent == "" && r.shape == nil || r.agent != strings.ToLower(r.agent) {
			t.Errorf("row %d of %s lacks a source or a rule, or its agent is not in lower case", i, r.family)
		}
		if r.agent != "" && Of(r.agent, Shape{}) != r.family {
			t.Errorf("row %d: %q is %s, want %s", i, r.agent, Of(r.agent, Shape{}), r.family)
		}
	}
	for _, f := range All() {
		if !has[f] || !Known(string(f)) {
			t.Errorf("no row for %s", f)
		}
	}
	if len(has) != len(All()) {
		t.Errorf("%d families in the table, %d in the list", len(has), len(All()))
	}
	less := func(a, b Family) int { return strings.Compare(strings.ToLower(string(a)), strings.ToLower(string(b))) }
	if !slices.IsSortedFunc(All(), less) {
		t.Error("the list is not sorted")
	}
	if Known("apple") || Known("") {
		t.Error("names that are no family are known")
	}
}

// FuzzOf wants a family for everything, and the same one twice.
func FuzzOf(f *testing.F) {
	f.Add("Mozilla/4.0 (compatible; Win32; NDES client)", "GET", "/certsrv/mscep", "GetCACert", "default", "*/*", "", "abc", false)
	f.Add("", "POST", "/", "PKIOperation", "", "", "\x00\xff", strings.Repeat("a", 64), true)
	f.Fuzz(func(t *testing.T, agent, method, path, operation, message, accept, contentType, transaction string, old bool) {
		s := Shape{
			Method: method, Path: path, Operation: operation, Message: message,
			Accept: accept, ContentType: contentType, TransactionID: transaction, HTTP10: old,
		}
		got := Of(agent, s)
		if !Known(string(got)) {
			t.Fatalf("%q is no family", got)
		}
		if again := Of(agent, s); again != got {
			t.Fatalf("%s, then %s", got, again)
		}
	})
}
