package certificatetemplate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/certificatetemplate"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const goodRule = "csr.subject.commonName.endsWith('.devices.example.com')"

type fixture struct {
	t         *testing.T
	client    client.Client
	namespace string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Parallel()
	f := &fixture{t: t, client: testenv.Client(t), namespace: testenv.Namespace(t)}
	testenv.StartManager(t, f.namespace, (&certificatetemplate.Reconciler{}).SetupWithManager)
	return f
}

func (f *fixture) create(change func(*v1alpha1.CertificateTemplateSpec)) {
	f.t.Helper()
	template := &v1alpha1.CertificateTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "device"}}
	template.Spec.Usages = []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageClientAuth}
	template.Spec.Validity.Duration = 8760 * time.Hour
	change(&template.Spec)
	if err := f.client.Create(f.t.Context(), template); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) edit(change func(*v1alpha1.CertificateTemplate)) {
	f.t.Helper()
	var template v1alpha1.CertificateTemplate
	if err := f.client.Get(f.t.Context(), client.ObjectKey{Namespace: f.namespace, Name: "device"}, &template); err != nil {
		f.t.Fatal(err)
	}
	before := template.DeepCopy()
	change(&template)
	if err := f.client.Patch(f.t.Context(), &template, client.MergeFrom(before)); err != nil {
		f.t.Fatal(err)
	}
}

// endpoint makes an endpoint that has templates on offer.
func (f *fixture) endpoint(name string, templates ...string) *v1alpha1.ScepEndpoint {
	f.t.Helper()
	ep := &v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: name}}
	ep.Spec.Issuance.IssuerRef.Name = "ca"
	ep.Spec.Issuance.Wait.Duration = 10 * time.Second
	ep.Spec.Issuance.PendingDeadline.Duration = time.Hour
	ep.Spec.Challenges = []v1alpha1.Challenge{{Name: "mdm", Type: v1alpha1.ChallengeStatic, Static: &v1alpha1.StaticChallenge{
		SecretRef: v1alpha1.SecretKeyReference{Name: "challenge", Key: "password"}, AcknowledgeStoredChallenge: true,
	}}}
	for i, template := range templates {
		ep.Spec.Templates = append(ep.Spec.Templates, v1alpha1.EndpointTemplate{
			Name: fmt.Sprintf("t%d", i), TemplateRef: v1alpha1.LocalReference{Name: template}, Default: i == 0,
		})
	}
	if err := f.client.Create(f.t.Context(), ep); err != nil {
		f.t.Fatal(err)
	}
	return ep
}

type check func(*v1alpha1.CertificateTemplate) error

func (f *fixture) await(checks ...check) {
	f.t.Helper()
	testenv.Eventually(f.t, "the expected status", func(ctx context.Context) error {
		var template v1alpha1.CertificateTemplate
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.namespace, Name: "device"}, &template); err != nil {
			return err
		}
		errs := []error{testenv.CheckKStatus(&template, template.Status.ObservedGeneration, template.Status.Conditions)}
		for _, c := range checks {
			errs = append(errs, c(&template))
		}
		return errors.Join(errs...)
	})
}

func is(conditionType, status, reason string, parts ...string) check {
	return func(template *v1alpha1.CertificateTemplate) error {
		c := conditions.Find(template.Status.Conditions, conditionType)
		if c == nil || string(c.Status) != status || c.Reason != reason {
			return fmt.Errorf("condition %s is not %s/%s but %+v", conditionType, status, reason, c)
		}
		for _, part := range parts {
			if !strings.Contains(c.Message, part) {
				return fmt.Errorf("condition %s does not say %q but %q", conditionType, part, c.Message)
			}
		}
		return nil
	}
}

func absent(conditionType string) check {
	return func(template *v1alpha1.CertificateTemplate) error {
		if c := conditions.Find(template.Status.Conditions, conditionType); c != nil {
			return fmt.Errorf("condition %s is there: %+v", conditionType, *c)
		}
		return nil
	}
}

func usedBy(n int32) check {
	return func(template *v1alpha1.CertificateTemplate) error {
		if template.Status.UsedBy != n {
			return fmt.Errorf("used by %d, not %d", template.Status.UsedBy, n)
		}
		return nil
	}
}

func (f *fixture) awaitEvent(reason string) {
	f.t.Helper()
	testenv.Eventually(f.t, "Event "+reason, func(ctx context.Context) error {
		var list eventsv1.EventList
		if err := f.client.List(ctx, &list, client.InNamespace(f.namespace)); err != nil {
			return err
		}
		for i := range list.Items {
			if list.Items[i].Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("not among %d", len(list.Items))
	})
}

func TestABrokenRuleStallsUntilItIsCorrected(t *testing.T) {
	f := newFixture(t)
	f.create(func(spec *v1alpha1.CertificateTemplateSpec) {
		spec.Rules = []v1alpha1.Rule{{Expression: goodRule, Message: "m"}, {Expression: "csr.subject.comonName == 'x'", Message: "m"}}
	})
	f.await(is("Ready", "False", "RuleInvalid", "rules[1]", "comonName", "Correct the template"), is("Stalled", "True", "RuleInvalid"), absent("Reconciling"))
	f.awaitEvent("RuleInvalid")
	f.edit(func(template *v1alpha1.CertificateTemplate) { template.Spec.Rules = template.Spec.Rules[:1] })
	f.await(is("Ready", "True", "Succeeded"), absent("Stalled"), absent("Reconciling"))
	f.awaitEvent("Ready")
}

func TestARuleThatMayCostTooMuch(t *testing.T) {
	f := newFixture(t)
	f.create(func(spec *v1alpha1.CertificateTemplateSpec) {
		spec.Rules = []v1alpha1.Rule{{
			Name: "costly", Message: "m",
			Expression: "csr.dnsNames.all(a, csr.dnsNames.all(b, csr.dnsNames.all(c, a == b || b == c)))",
		}}
	})
	f.await(is("Ready", "False", "RuleInvalid", "rules[0] (costly): may cost", "fewer macros"), is("Stalled", "True", "RuleInvalid"))
}

func TestAPatternThatCannotBeRead(t *testing.T) {
	f := newFixture(t)
	f.create(func(spec *v1alpha1.CertificateTemplateSpec) {
		spec.Subject = &v1alpha1.SubjectPolicy{Attributes: []v1alpha1.AttributeValues{{Name: v1alpha1.CommonName, Pattern: "d-[0-9"}}}
	})
	f.await(is("Ready", "False", "ValueInvalid", "subject.attributes[0].pattern", "missing closing ]"), is("Stalled", "True", "ValueInvalid"))
	f.edit(func(template *v1alpha1.CertificateTemplate) { template.Spec.Subject.Attributes[0].Pattern = "d-[0-9]+" })
	f.await(is("Ready", "True", "Succeeded"), absent("Stalled"))
}

func TestUsagesThatNoKeyCanHave(t *testing.T) {
	f := newFixture(t)
	f.create(func(spec *v1alpha1.CertificateTemplateSpec) {
		spec.Keys = []v1alpha1.KeyRequirement{{Algorithm: v1alpha1.ECDSAKey}}
		spec.Usages = []certmanagerv1.KeyUsage{certmanagerv1.UsageKeyEncipherment}
	})
	f.await(is("Ready", "False", "UsagesUnfit", "key encipherment"), is("Stalled", "True", "UsagesUnfit"))
}

func TestEndpointsAreCounted(t *testing.T) {
	f := newFixture(t)
	f.endpoint("first", "device")
	f.create(func(*v1alpha1.CertificateTemplateSpec) {})
	f.await(is("Ready", "True", "Succeeded"), usedBy(1))
	second := f.endpoint("second", "device", "other", "device")
	f.await(usedBy(2))
	second.Spec.Templates = second.Spec.Templates[1:2]
	if err := f.client.Update(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	f.await(usedBy(1))
	f.endpoint("third", "other")
	if err := f.client.Delete(t.Context(), &v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "first"}}); err != nil {
		t.Fatal(err)
	}
	f.await(usedBy(0), is("Ready", "True", "Succeeded"))
}

func TestARequestToReconcileIsEchoed(t *testing.T) {
	f := newFixture(t)
	f.create(func(*v1alpha1.CertificateTemplateSpec) {})
	f.await(is("Ready", "True", "Succeeded"))
	f.edit(func(template *v1alpha1.CertificateTemplate) {
		template.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "2031-03-04T05:06:07Z"}
	})
	f.await(func(template *v1alpha1.CertificateTemplate) error {
		if got := template.Status.LastHandledReconcileAt; got != "2031-03-04T05:06:07Z" {
			return fmt.Errorf("lastHandledReconcileAt is %q", got)
		}
		return nil
	})
}
