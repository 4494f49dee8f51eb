package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render/route"
)

const ingressIntro = `# What stands in front

Made from internal/render/route by "make generate": change the rows there.

Some devices send their request in a URL (SCEP over GET): 4 to 13 KiB in practice, and up
to 65,534 bytes where Microsoft's NDES is the measure. No SCEP client follows redirects.
So each implementation of Ingress and of the Gateway API has a row here: what it lets
through, what raises that, and what Scepter does by itself.

An implementation is recognised by its IngressClass or GatewayClass, which proves nothing:
others take the names of well-known controllers. What really passes is for the probes to
say. The same advice, for the implementations in front of an endpoint, is in its
` + "`status.exposure`" + `, ready to copy.

- Scepter routes each host whole, without a redirect or a rewrite, by plain HTTP and HTTPS
  as the endpoint says.
- A limit that is global to a controller is its administrator's. Scepter says what to set.
  For some it keeps the setting itself, if the chart's value ` + "`ingressLimit`" + ` names the
  controller's ConfigMap: it then looks every 30 seconds, sets that one key, leaves everything
  else and any larger value alone, and puts nothing back when it is uninstalled.
  The condition ` + "`LongURLs`" + ` does not count for ` + "`Ready`" + `: most devices send by POST.
- A limit that no setting raises has two ways past it: ` + "`exposure.gateway.mode: TLSPassthrough`" + `
  (TLS ends at the servers, so nobody in between reads a URL), and ` + "`exposure.service`" + `, a
  Service of type LoadBalancer or NodePort beside the Ingress.
- An annotation that somebody else put on the Ingress or its class, and that redirects or
  rewrites, is reported as ` + "`ForeignSetting`" + ` and left alone.

Sizes are of the request target (path and query) over HTTP/1.1, in bytes, with the header
fields of a usual client.
`

const softwareIntro = `
# Proxies in front of all that

Nothing in the cluster tells of a proxy, connector or load balancer that somebody runs in
front of it. A probe knows some by their answers, the field ` + "`Server`" + ` or a page of
their own; the conditions ` + "`Exposed` and `LongURLs`" + ` then name it, and what to look at there.

| Software | To let long URLs pass | A redirect | A gateway's error | POST is refused |
|---|---|---|---|---|
`

// formatSoftware lists what is known by its answers.
func formatSoftware(all []route.Software) string {
	var out strings.Builder
	out.WriteString(softwareIntro)
	for _, s := range all {
		raise := "no setting does"
		if s.Raise.What != "" {
			raise = cell(s.Raise.String())
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", s.Name, raise,
			orDash(s.Look[v1alpha1.ReasonRedirected]), orDash(s.Look[v1alpha1.ReasonHopFailed]), orDash(s.Look[v1alpha1.ReasonPOSTRefused]))
	}
	return out.String()
}

// writeIngress writes docs/ingress.md from the tables of implementations and of software.
func writeIngress(root string) error {
	return writeFile(filepath.Join(root, "docs/ingress.md"), []byte(formatIngress(route.Implementations())+formatSoftware(route.AllSoftware())))
}

func formatIngress(all []route.Implementation) string {
	var out strings.Builder
	out.WriteString(ingressIntro)
	out.WriteString("\n| Implementation | As installed | How to raise | Hard maximum | Over it |\n|---|---|---|---|---|\n")
	for _, i := range all {
		fmt.Fprintf(&out, "| [%s](#%s) | %s | %s | %s | %s |\n", i.Name, i.ID, size(i.LimitBytes, "unknown"), raises(i), maximum(i), orDash(i.OverLimit))
	}
	for _, i := range all {
		writeImplementation(&out, i)
	}
	return out.String()
}

func size(n int64, zero string) string {
	if n == 0 {
		return zero
	}
	return fmt.Sprint(n)
}

func raises(i route.Implementation) string {
	switch {
	case i.URLs == v1alpha1.LongURLsPass:
		return "nothing to do"
	case len(i.Raise) > 0:
		return cell(i.Raise[0].String())
	}
	return "–"
}

func maximum(i route.Implementation) string {
	if i.URLs == v1alpha1.LongURLsUnknown {
		return "unknown"
	}
	return size(i.MaxBytes, "memory")
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func writeImplementation(out *strings.Builder, i route.Implementation) {
	fmt.Fprintf(out, "\n<a id=%q></a>\n## %s\n\n", i.ID, i.Name)
	fmt.Fprintf(out, "Recognised by %s.\n", recognised(i))
	if i.Remarks != "" {
		fmt.Fprintf(out, "%s\n", i.Remarks)
	}
	if i.Global != nil {
		fmt.Fprintf(out, "\nThe operator keeps it so, if granted: `ingressLimit: {implementation: %s, namespace: …, configMap: …}` in the values of Scepter's chart.\n", i.ID)
	}
	for _, s := range i.Raise {
		fmt.Fprintf(out, "\nTo raise the limit: %s.\n", s)
		if s.Copy != "" {
			fmt.Fprintf(out, "\n```\n%s\n```\n", s.Copy)
		}
	}
	writeSettings(out, i)
}

func recognised(i route.Implementation) string {
	var by []string
	for what, names := range map[string][]string{
		"1 the controller of its IngressClass, ": i.IngressControllers,
		"2 the name of its IngressClass, ":       i.ClassNames,
		"3 the controller of its GatewayClass, ": i.GatewayControllers,
	} {
		if len(names) > 0 {
			by = append(by, what+"`"+strings.Join(names, "` or `")+"`")
		}
	}
	if len(by) == 0 {
		return "nothing: it stands in front of the cluster, and only a device or a probe from outside meets it"
	}
	slices.Sort(by)
	for n := range by {
		by[n] = by[n][2:]
	}
	return strings.Join(by, "; ")
}

// writeSettings lists what Scepter sets for one object, and what breaks SCEP.
func writeSettings(out *strings.Builder, i route.Implementation) {
	var rows []string
	for _, set := range []struct {
		when  string
		among map[string]string
	}{
		{"on every Ingress", i.Always},
		{"where plain HTTP is served", i.HTTPAndHTTPS},
		{"where it is not", i.HTTPSOnly},
		{"on the Service", i.Service},
	} {
		for _, name := range slices.Sorted(maps.Keys(set.among)) {
			rows = append(rows, fmt.Sprintf("| `%s: %q` | set by Scepter %s |\n", name, set.among[name], set.when))
		}
	}
	for _, h := range i.Harmful {
		unless := ""
		if len(h.Unless) > 0 {
			unless = fmt.Sprintf(", unless it is `%s`", strings.Join(h.Unless, "`, `"))
		}
		rows = append(rows, fmt.Sprintf("| `%s` | reported: %s%s |\n", h.Annotation, h.Does, unless))
	}
	if len(rows) > 0 {
		fmt.Fprintf(out, "\n| Annotation | |\n|---|---|\n%s", strings.Join(rows, ""))
	}
}
