package apply

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestContains(t *testing.T) {
	cases := map[string]struct {
		live, want string
		contained  bool
	}{
		"equal":                              {`{a: 1, b: x}`, `{a: 1, b: x}`, true},
		"live has more":                      {`{a: 1, b: x, c: true}`, `{a: 1}`, true},
		"live lacks a field":                 {`{a: 1}`, `{a: 1, b: x}`, false},
		"another value":                      {`{a: 2}`, `{a: 1}`, false},
		"another type":                       {`{a: "1"}`, `{a: 1}`, false},
		"a zero that the API leaves out":     {`{}`, `{isCA: false, n: 0, s: "", l: [], m: {n: {}}}`, true},
		"a zero that live contradicts":       {`{isCA: true}`, `{isCA: false}`, false},
		"quantities written differently":     {`{resources: {limits: {cpu: 50m, memory: 256Mi}}}`, `{resources: {limits: {cpu: "0.05", memory: 262144Ki}}}`, true},
		"quantities that differ":             {`{resources: {limits: {cpu: 50m}}}`, `{resources: {limits: {cpu: 60m}}}`, false},
		"labels are no quantities":           {`{labels: {v: "1000m"}}`, `{labels: {v: "1"}}`, false},
		"whole numbers, decoded differently": {`{a: 1.0}`, `{a: 1}`, true},
		"containers beside ours":             {`{containers: [{name: mesh}, {name: ra, image: i, x: 1}]}`, `{containers: [{name: ra, image: i}]}`, true},
		"our container changed":              {`{containers: [{name: ra, image: j}]}`, `{containers: [{name: ra, image: i}]}`, false},
		"our container gone":                 {`{containers: [{name: mesh}]}`, `{containers: [{name: ra}]}`, false},
		"arguments in order":                 {`{args: [a, b]}`, `{args: [a, b]}`, true},
		"arguments out of order":             {`{args: [b, a]}`, `{args: [a, b]}`, false},
		"one argument more":                  {`{args: [a, b, c]}`, `{args: [a, b]}`, false},
		"a rule with defaults":               {`{rules: [{host: h, pathType: Prefix}]}`, `{rules: [{host: h}]}`, true},
		"a rule beside ours":                 {`{rules: [{host: h}, {host: evil}]}`, `{rules: [{host: h}]}`, false},
		"a list that became an object":       {`{args: {}}`, `{args: [a]}`, false},
		"an object that became a list":       {`{a: []}`, `{a: {b: 1}}`, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := len(differences(decode(t, c.live), decode(t, c.want))) == 0; got != c.contained {
				t.Errorf("contains = %v, want %v", got, c.contained)
			}
		})
	}
}

func TestDifferencesAreNamed(t *testing.T) {
	cases := map[string]struct{ live, want, fields string }{
		"none":                         {`{a: 1}`, `{a: 1}`, ""},
		"values":                       {`{spec: {b: 2, a: 1}}`, `{spec: {b: 3, a: 2}}`, "spec.a spec.b"},
		"all of a map":                 {`{}`, `{labels: {x: y, a: b}}`, "labels.a labels.x"},
		"an element's field":           {`{spec: {containers: [{name: mesh}, {name: ra, image: evil}]}}`, `{spec: {containers: [{name: ra, image: i}]}}`, "spec.containers[ra].image"},
		"a map that is one value":      {`{spec: {selector: {a: x, b: y}}}`, `{spec: {selector: {a: x, b: z}}}`, "spec.selector"},
		"an element that is gone":      {`{env: []}`, `{env: [{name: A, value: v}]}`, "env[A]"},
		"an element without a name":    {`{ports: [{port: 1}]}`, `{ports: [{port: 2}]}`, "ports"},
		"a list that is one value":     {`{args: [a]}`, `{args: [b]}`, "args"},
		"a list in the place of a map": {`{a: []}`, `{a: {b: 1}}`, "a"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			want := decode(t, c.want)
			var got []string
			for _, p := range differences(decode(t, c.live), want) {
				got = append(got, p.String())
				p.remove(want)
			}
			if strings.Join(got, " ") != c.fields {
				t.Errorf("differences %q, want %q", got, c.fields)
			}
			if left := differences(decode(t, c.live), want); len(left) > 0 {
				t.Errorf("%v differ, though they were removed", left)
			}
		})
	}
}

func decode(t *testing.T, in string) any {
	t.Helper()
	var out any
	if err := yaml.Unmarshal([]byte(in), &out); err != nil {
		t.Fatal(err)
	}
	return out
}
