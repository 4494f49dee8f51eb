package ra

import (
	"testing"

	"k8s.io/client-go/rest"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

func TestAPIServerIsANeed(t *testing.T) {
	for host, want := range map[string]string{
		"https://10.96.0.1:443":            "https://10.96.0.1:443/version",
		"10.96.0.1":                        "http://10.96.0.1/version",
		"https://api.example.com:6443/sub": "https://api.example.com:6443/version",
	} {
		got := clusterNeed(&rest.Config{Host: host})
		if len(got) != 1 || got[0].URL.String() != want || got[0].Dependency != raconfig.DependencyAPIServer || !got[0].Own {
			t.Errorf("%s: %+v", host, got)
		}
	}
	for _, none := range []*rest.Config{nil, {Host: "://"}} {
		if got := clusterNeed(none); got != nil {
			t.Errorf("%+v", got)
		}
	}
}
