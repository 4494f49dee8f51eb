package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/rig"
)

// watched is how a person or a machine learns when a certificate of a tier ends.
type watched struct {
	certificate string
	// metric is a series of the operator's, without namespace and name.
	metric string
	// kind (in a URL), name and column are where "kubectl get" shows it.
	kind, name, column string
	// alert is of config/prometheus.
	alert string
}

// chainOf is each certificate between a device and the root that Scepter looks after.
var chainOf = []watched{
	{
		"the RA's, as issued", "scepter_racredential_expiration_timestamp_seconds", "racredentials", ownCredential, "Expires", "ScepterRACredentialExpired",
	},
	{
		"the RA's, as shown", "scepter_endpoint_racredential_not_after_timestamp_seconds", "scependpoints", ownEndpoint, "RA expires", "ScepterRolloverStuck",
	},
	{
		"the issuing CA's", `scepter_endpoint_ca_expiration_timestamp_seconds{role="Issuing"}`, "scependpoints", ownEndpoint, "CA expires", "ScepterCACertificateExpires",
	},
}

// TestF39 reads the end of each certificate in the ways that there are, on a tier whose
// certificates are valid, and again when those of the RA have ended and nobody renews them.
func TestF39(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F39")
	o := newOwnTier(t, "watched", life{lasts: 90 * time.Second})
	for _, w := range chainOf {
		mustWait(t, w.certificate+" to be watched", w.agrees(t, o, func(end time.Time) bool { return end.After(time.Now()) }))
		mustHaveRunbook(t, w.alert)
	}
	mustWait(t, "the Event of new certificates", o.told(ownCredential, corev1.EventTypeNormal, "GenerationAdded"))
	row.Used("a healthy tier")

	o.issuer.hush()
	for _, w := range chainOf[:2] {
		mustWait(t, w.certificate+" to have ended", w.agrees(t, o, func(end time.Time) bool { return end.Before(time.Now()) }))
	}
	mustWait(t, "the Event of the end", o.told(ownCredential, corev1.EventTypeWarning, v1alpha1.ReasonExpired))
	mustWait(t, "the endpoint's Event", o.told(ownEndpoint, corev1.EventTypeWarning, v1alpha1.ReasonExpired))
	row.Used("a tier whose RA certificates have expired")
}

// agrees checks that metric and column name the same time, and that it fits.
func (w *watched) agrees(t *testing.T, o *ownTier, fits func(time.Time) bool) rig.Check {
	t.Helper()
	return func(context.Context) (bool, string, error) {
		column, err := time.Parse(time.RFC3339, w.shown(t, o.namespace))
		if err != nil {
			return false, "", err
		}
		metric, err := w.measured(t, o.namespace)
		if err != nil {
			return false, "", err
		}
		return metric.Equal(column) && fits(column), fmt.Sprintf("the metric says %s, the column %s", metric, column), nil
	}
}

// shown is what "kubectl get" prints below the column: it asks the API server for a table.
func (w *watched) shown(t *testing.T, namespace string) string {
	t.Helper()
	path := fmt.Sprintf("/apis/%s/namespaces/%s/%s/%s", v1alpha1.GroupVersion, namespace, w.kind, w.name)
	raw, err := clientset(t).RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(table.ColumnDefinitions, func(c metav1.TableColumnDefinition) bool { return c.Name == w.column && c.Priority == 0 })
	if i < 0 || len(table.Rows) != 1 {
		t.Fatalf("%d rows, and the column %q is not among %v", len(table.Rows), w.column, table.ColumnDefinitions)
	}
	return fmt.Sprint(table.Rows[0].Cells[i])
}

// measured is the earliest end that the metric says of the tier.
func (w *watched) measured(t *testing.T, namespace string) (time.Time, error) {
	t.Helper()
	name, labels, _ := strings.Cut(strings.TrimSuffix(w.metric, "}"), "{")
	ends := []float64{}
	for line := range strings.Lines(operatorMetrics(t)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if !ok || !strings.HasPrefix(series, name+"{") || !strings.Contains(series, fmt.Sprintf("namespace=%q", namespace)) || !strings.Contains(series, labels) {
			continue
		}
		end, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return time.Time{}, err
		}
		ends = append(ends, end)
	}
	if len(ends) == 0 {
		return time.Time{}, fmt.Errorf("the operator has no %s of %s", w.metric, namespace)
	}
	return time.Unix(int64(slices.Min(ends)), 0), nil
}

// operatorMetrics asks the operator that is ready.
func operatorMetrics(t *testing.T) string {
	t.Helper()
	var pods corev1.PodList
	if err := shared.api.List(t.Context(), &pods, client.InNamespace(rig.SystemNamespace)); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp == nil && rig.PodReady(&p) })
	if i < 0 {
		t.Fatal("no operator is ready")
	}
	raw, err := clientset(t).CoreV1().RESTClient().Get().Namespace(rig.SystemNamespace).Resource("pods").
		Name(pods.Items[i].Name + ":8080").SubResource("proxy").Suffix("metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// told checks that there is an Event about one of the tier's objects.
func (o *ownTier) told(name, kind, reason string) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		var all eventsv1.EventList
		if err := shared.api.List(ctx, &all, client.InNamespace(o.namespace)); err != nil {
			return false, "", err
		}
		seen := ""
		for i := range all.Items {
			e := &all.Items[i]
			if e.Regarding.Name != name {
				continue
			}
			if e.Type == kind && e.Reason == reason {
				return true, "", nil
			}
			seen += e.Type + " " + e.Reason + ", "
		}
		return false, seen, nil
	}
}

// mustHaveRunbook looks for the alert among the rules, and for its page.
func mustHaveRunbook(t *testing.T, alert string) {
	t.Helper()
	rules, err := os.ReadFile(filepath.Join("..", "..", "config", "prometheus", "scepter.rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(rules), "- alert: "+alert+"\n") {
		t.Errorf("there is no alert %s", alert)
	}
	if _, err := os.Stat(filepath.Join("..", "..", "docs", "runbooks", alert+".md")); err != nil {
		t.Error(err)
	}
}
