package issue

import (
	"maps"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func TestASealBreaksWithEachChange(t *testing.T) {
	t.Parallel()
	names := Names{Key: []byte("0123456789abcdef0123456789abcdef"), Endpoint: "corp"}
	made := metav1.ObjectMeta{
		Name:        "corp-1",
		Labels:      map[string]string{v1alpha1.LabelEndpoint: "corp", v1alpha1.LabelSigner: "s"},
		Annotations: map[string]string{v1alpha1.AnnotationChallenge: "intune", v1alpha1.AnnotationNotify: v1alpha1.NotifyRequired},
	}
	made.Annotations[v1alpha1.AnnotationSeal] = names.seal(&made)
	for name, tc := range map[string]struct {
		change func(*metav1.ObjectMeta)
		want   bool
	}{
		"nothing":                      {func(*metav1.ObjectMeta) {}, true},
		"cert-manager's annotation":    {func(o *metav1.ObjectMeta) { o.Annotations["cert-manager.io/x"] = "y" }, true},
		"a label of somebody's":        {func(o *metav1.ObjectMeta) { o.Labels["app"] = "y" }, true},
		"the obligation gone":          {func(o *metav1.ObjectMeta) { delete(o.Annotations, v1alpha1.AnnotationNotify) }, false},
		"another challenge":            {func(o *metav1.ObjectMeta) { o.Annotations[v1alpha1.AnnotationChallenge] = "hook" }, false},
		"another signer":               {func(o *metav1.ObjectMeta) { o.Labels[v1alpha1.LabelSigner] = "t" }, false},
		"one more of ours":             {func(o *metav1.ObjectMeta) { o.Annotations[v1alpha1.AnnotationKeepUntil] = "now" }, false},
		"an annotation made a label":   {func(o *metav1.ObjectMeta) { moveToLabels(o, v1alpha1.AnnotationNotify) }, false},
		"another object's name":        {func(o *metav1.ObjectMeta) { o.Name = "corp-2" }, false},
		"no seal":                      {func(o *metav1.ObjectMeta) { delete(o.Annotations, v1alpha1.AnnotationSeal) }, false},
		"an empty seal":                {func(o *metav1.ObjectMeta) { o.Annotations[v1alpha1.AnnotationSeal] = "" }, false},
		"no labels and no annotations": {func(o *metav1.ObjectMeta) { o.Labels, o.Annotations = nil, nil }, false},
	} {
		changed := *made.DeepCopy()
		tc.change(&changed)
		if got := names.sealed(&changed); got != tc.want {
			t.Errorf("%s: sealed %v, want %v", name, got, tc.want)
		}
	}
	other := Names{Key: []byte("fedcba9876543210fedcba9876543210"), Endpoint: "corp"}
	if other.sealed(&made) {
		t.Error("another endpoint's key made the seal")
	}
}

func moveToLabels(o *metav1.ObjectMeta, key string) {
	o.Labels = maps.Clone(o.Labels)
	o.Labels[key] = o.Annotations[key]
	delete(o.Annotations, key)
}
