package agent

import (
	"slices"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for userAgent, want := range map[string]string{
		"":   "None",
		"  ": "None",
		"Mozilla/4.0 (compatible; Win32; NDES client 10.0.19041.746/vb_release_svc_prod1)": "NDES client/10",
		"Mozilla/4.0 (compatible; Win32; NDES client)":                                     "NDES client",
		"Mozilla/4.0 (compatible; MSIE 5.0; Cisco PKI)":                                    "Cisco PKI",
		"profiled/1.0 CFNetwork/975.0.3 Darwin/18.2.0":                                     "Darwin/18",
		"mdmclient/863 CFNetwork/760.9":                                                    "CFNetwork/760",
		"Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A.230805.001)":               "Dalvik/2",
		"Java/1.8.0_292":     "Java/1",
		"Go-http-client/1.1": "Go-http-client/1",
		"curl/7.88.1":        "curl/7",
		"scepter":            "scepter",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36": "CrOS",
		"CURL/8":               "curl/8",
		"curl/":                "curl",
		"curl/99999":           "curl",
		"Anna's iPhone/17":     "Other",
		"curl/7;Anna's iPhone": "curl/7",
	} {
		if got := Of(userAgent).String(); got != want {
			t.Errorf("%q is %q, want %q", userAgent, got, want)
		}
	}
}

func FuzzOf(f *testing.F) {
	f.Add("curl/7.88.1")
	f.Fuzz(func(t *testing.T, userAgent string) {
		got := Of(userAgent)
		if !slices.Contains(Products(), got.Product) || len(got.Major) > maxMajor || strings.Trim(got.Major, "0123456789") != "" {
			t.Errorf("%q is %+v", userAgent, got)
		}
	})
}
