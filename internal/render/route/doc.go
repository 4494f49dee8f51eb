// Package route renders what leads devices to an endpoint: Ingress, HTTPRoute and
// TLSRoute, and holds what each ingress implementation needs, as data. SCEP
// clients do not follow redirects and some send requests of many kilobytes in a
// URL: so no route redirects, and every implementation has a verdict on long URLs.
package route
