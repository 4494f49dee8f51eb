package route

import (
	"bytes"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/golden"
)

// TestEachImplementationGolden renders an endpoint with a host for plain HTTP and
// HTTPS and one for HTTPS alone, and the advice, for each row of the table.
func TestEachImplementationGolden(t *testing.T) {
	secret := &v1alpha1.HostTLS{SecretName: "own-certificate"}
	for _, i := range append(Implementations(), unknown) {
		t.Run(i.ID, func(t *testing.T) {
			class := "edge"
			if len(i.ClassNames) > 0 {
				class = i.ClassNames[0]
			}
			ep := exposed(v1alpha1.Exposure{
				Hosts: []v1alpha1.Host{
					{Name: "both.example.com", HTTP: v1alpha1.PlainHTTPEnabled, TLS: secret},
					{Name: "https.example.com", HTTP: v1alpha1.PlainHTTPDisabled, TLS: secret},
				},
				Ingress: &v1alpha1.IngressExposure{ClassName: &class},
			})
			var out bytes.Buffer
			if len(i.IngressControllers)+len(i.ClassNames) > 0 {
				for _, ingress := range Ingresses(ep, i) {
					document(t, &out, ingress)
				}
			}
			document(t, &out, map[string]any{"service annotations": i.Service, "advice": i.Advice()})
			golden.Compare(t, "testdata/implementations/"+i.ID+".out.yaml", out.Bytes())
		})
	}
}

func TestByIngressClass(t *testing.T) {
	cases := map[Class]string{
		{Controller: "traefik.io/ingress-controller"}:          "traefik",
		{Controller: "k8s.io/ingress-nginx"}:                   "ingress-nginx",
		{Controller: "haproxy.org/ingress-controller/default"}: "haproxytech",
		{Controller: "haproxy-ingress.github.io/controller/x"}: "haproxy-ingress",
		{Controller: "ingress.k8s.aws/alb"}:                    "aws-alb",
		{Controller: "k8s.io/ingress-nginx-fork"}:              "unknown",
		{Name: "contour", Controller: "example.com/whatever"}:  "contour",
		{Name: "caddy", Controller: "caddy.io/ingress"}:        "caddy",
		{Name: "gce"}: "gke",
		{Name: "contour", Controller: "nginx.org/ingress-controller"}: "f5-nginx",
		{}: "unknown",
	}
	for class, want := range cases {
		if got := ByIngressClass(class).ID; got != want {
			t.Errorf("%+v: %s, want %s", class, got, want)
		}
	}
}

func TestByGatewayController(t *testing.T) {
	for controller, want := range map[string]string{
		"traefik.io/gateway-controller":                 "traefik",
		"gateway.envoyproxy.io/gatewayclass-controller": "envoy-gateway",
		"gateway.nginx.org/nginx-gateway-controller":    "nginx-gateway-fabric",
		"istio.io/gateway-controller":                   "istio",
		"networking.gke.io/gateway":                     "gke",
		"example.com/unheard-of":                        "unknown",
		"":                                              "unknown",
	} {
		if got := ByGatewayController(controller).ID; got != want {
			t.Errorf("%q: %s, want %s", controller, got, want)
		}
	}
}

// TestEachRowIsComplete holds what a row says against itself and the others.
func TestEachRowIsComplete(t *testing.T) {
	claimed := map[string]string{}
	for _, i := range Implementations() {
		if i.ID == "" || i.Name == "" || len(i.Name) > 64 {
			t.Errorf("%+v lacks an ID or a name of at most 64 bytes", i)
		}
		if (i.URLs == v1alpha1.LongURLsUnknown) != (i.LimitBytes == 0) {
			t.Errorf("%s: verdict %s with a limit of %d bytes", i.ID, i.URLs, i.LimitBytes)
		}
		if i.URLs == v1alpha1.LongURLsNeedSetting && (len(i.Raise) == 0 || i.Raise[0].Copy == "") {
			t.Errorf("%s needs a setting and says not which", i.ID)
		}
		if i.MaxBytes != 0 && i.MaxBytes < i.LimitBytes {
			t.Errorf("%s: at most %d bytes, yet %d as installed", i.ID, i.MaxBytes, i.LimitBytes)
		}
		for _, name := range append(append([]string{}, i.IngressControllers...), i.ClassNames...) {
			if claimed[name] != "" {
				t.Errorf("%s and %s claim %s", claimed[name], i.ID, name)
			}
			claimed[name] = i.ID
		}
	}
}

// TestAdviceFits into the status, whose strings are bounded.
func TestAdviceFits(t *testing.T) {
	for _, i := range Implementations() {
		for _, a := range i.Advice() {
			if len(a.Do) > 512 || len(a.Copy) > 8192 {
				t.Errorf("%s: %d and %d bytes", i.ID, len(a.Do), len(a.Copy))
			}
		}
	}
}

// TestWhatWeSetDoesNoHarm: no row reports its own annotations.
func TestWhatWeSetDoesNoHarm(t *testing.T) {
	for _, i := range Implementations() {
		for _, ours := range []map[string]string{i.Always, i.HTTPAndHTTPS} {
			if found := i.Foreign(ours, nil); len(found) > 0 {
				t.Errorf("%s: %v", i.ID, found)
			}
		}
		if found := i.Foreign(i.HTTPSOnly, i.HTTPSOnly); len(found) > 0 {
			t.Errorf("%s: %v", i.ID, found)
		}
	}
}

func TestForeign(t *testing.T) {
	const rewrite, redirect = "nginx.ingress.kubernetes.io/rewrite-target", "nginx.ingress.kubernetes.io/ssl-redirect"
	cases := map[string]struct {
		controller string
		have, ours map[string]string
		want       string
	}{
		"a rewrite":               {"k8s.io/ingress-nginx", map[string]string{rewrite: "/x"}, nil, rewrite},
		"an empty one":            {"k8s.io/ingress-nginx", map[string]string{rewrite: ""}, nil, ""},
		"a redirect":              {"k8s.io/ingress-nginx", map[string]string{redirect: "true"}, nil, redirect},
		"no redirect":             {"k8s.io/ingress-nginx", map[string]string{redirect: "False"}, nil, ""},
		"ours":                    {"k8s.io/ingress-nginx", map[string]string{redirect: "true"}, map[string]string{redirect: "true"}, ""},
		"ours, altered":           {"k8s.io/ingress-nginx", map[string]string{redirect: "true"}, map[string]string{redirect: "false"}, redirect},
		"of another":              {"traefik.io/ingress-controller", map[string]string{rewrite: "/x"}, nil, ""},
		"before an unknown one":   {"example.com/unheard-of", map[string]string{rewrite: "/x"}, nil, rewrite},
		"all that begin so":       {"ingress.k8s.aws/alb", map[string]string{"alb.ingress.kubernetes.io/actions.ssl": "{}"}, nil, "actions.ssl"},
		"something else entirely": {"k8s.io/ingress-nginx", map[string]string{"example.com/team": "pki"}, nil, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(ByIngressClass(Class{Controller: c.controller}).Foreign(c.have, c.ours), "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
