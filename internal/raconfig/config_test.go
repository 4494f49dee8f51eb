package raconfig

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func validConfig() *Config {
	return &Config{
		Version:          Version,
		Endpoint:         Endpoint{Namespace: "pki", Name: "corp", UID: "u", Generation: 3},
		ActiveGeneration: "0123456789abcdef",
		Issuance: Issuance{
			Mode:           v1alpha1.IssuanceCertificateRequest,
			IssuerRef:      v1alpha1.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: "corp-ca"},
			ServiceAccount: "system:serviceaccount:pki:corp-ra",
			WaitSeconds:    10,
		},
		Templates: []Template{
			{Name: "device", Default: true, Spec: v1alpha1.CertificateTemplateSpec{}},
			{Name: "printer"},
		},
		Challenges: []Challenge{{Name: "mdm", Type: v1alpha1.ChallengeStatic}},
	}
}

func TestConfigRoundTrip(t *testing.T) {
	want := validConfig()
	file, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again, err := Encode(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(file) {
		t.Error("the same configuration was encoded differently")
	}
}

func TestDecodeRefuses(t *testing.T) {
	cases := map[string]struct {
		change func(*Config)
		append string
		want   string
	}{
		"another version":  {change: func(c *Config) { c.Version = "v9" }, want: `version "v9"`},
		"no endpoint name": {change: func(c *Config) { c.Endpoint.Name = "" }, want: "namespace or name"},
		"no generation":    {change: func(c *Config) { c.ActiveGeneration = "" }, want: "activeGeneration"},
		"no templates":     {change: func(c *Config) { c.Templates = nil }, want: "templates"},
		"no challenges":    {change: func(c *Config) { c.Challenges = nil }, want: "challenges"},
		"a field of tomorrow": {
			change: func(c *Config) { c.Requires = []string{"templates", "tomorrow"} }, append: "tomorrow: true\n",
			want: "the field tomorrow is not known to this version, and the file requires tomorrow to be",
		},
		"a field of tomorrow within": {
			change: func(c *Config) { c.Requires = []string{"tomorrow"} }, append: "tomorrow: {deep: [1]}\n", want: "tomorrow",
		},
		"a field twice": {append: "version: v1\n", want: "already set"},
		"no YAML":       {append: "\t{", want: "yaml"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := validConfig()
			if tc.change != nil {
				tc.change(c)
			}
			file, err := Encode(c)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Decode(append(file, tc.append...))
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrInvalid with %q", err, tc.want)
			}
		})
	}
}

// A file of a newer operator is used as far as it is known, unless it forbids that.
func TestDecodeOfANewerFile(t *testing.T) {
	known, err := Encode(validConfig())
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(known), "- name: printer", "- name: printer\n  tomorrow: {a: 1}", 1) + "colour: green\n"
	for name, tc := range map[string]struct {
		requires string
		fails    string
	}{
		"requires nothing":          {"", ""},
		"requires something else":   {"requires: [challenges, template, colo]\n", ""},
		"requires the field":        {"requires: [colour]\n", "colour"},
		"requires what is above it": {"requires: [templates]\n", "templates[1].tomorrow"},
		"requires another entry":    {"requires: ['templates[0]']\n", ""},
	} {
		c, err := Decode([]byte(newer + tc.requires))
		if tc.fails != "" {
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "the field "+tc.fails+" is not known") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff([]string{"colour", "templates[1].tomorrow"}, slices.Sorted(slices.Values(c.Unknown))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestDefaultTemplate(t *testing.T) {
	cases := map[string]struct {
		templates []Template
		want      string
	}{
		"marked":         {templates: []Template{{Name: "a"}, {Name: "b", Default: true}}, want: "b"},
		"the only one":   {templates: []Template{{Name: "a"}}, want: "a"},
		"none is marked": {templates: []Template{{Name: "a"}, {Name: "b"}}},
		"none at all":    {},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := (&Config{Templates: tc.templates}).DefaultTemplate()
			switch {
			case got == nil && tc.want != "":
				t.Errorf("got none, want %q", tc.want)
			case got != nil && got.Name != tc.want:
				t.Errorf("got %q, want %q", got.Name, tc.want)
			}
		})
	}
}

func TestHashIgnoresOuterSpace(t *testing.T) {
	if Hash([]byte("a: b\n")) != Hash([]byte("a: b")) {
		t.Error("a final newline changed the hash")
	}
	if Hash([]byte("a: b")) == Hash([]byte("a: c")) {
		t.Error("different files have the same hash")
	}
}

func FuzzDecode(f *testing.F) {
	file, err := Encode(validConfig())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := Decode(in)
		if err == nil && c.ActiveGeneration == "" {
			t.Error("an invalid configuration was accepted")
		}
	})
}
