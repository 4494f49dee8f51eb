package issue

import (
	"crypto/hmac"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// seal is a MAC over an object's name and all of its labels and annotations that are
// ours. cert-manager keeps anybody from changing a CertificateRequest's spec, and
// nobody from changing its metadata: whoever may edit CertificateRequests could
// otherwise take away that somebody has to be told before a certificate is handed out.
func (n Names) seal(o *metav1.ObjectMeta) string {
	var parts [][]byte
	for _, kind := range []map[string]string{o.Labels, o.Annotations} {
		parts = append(parts, nil) // between the kinds
		for _, key := range slices.Sorted(maps.Keys(kind)) {
			if strings.HasPrefix(key, v1alpha1.GroupName+"/") && key != v1alpha1.AnnotationSeal {
				parts = append(parts, []byte(key), []byte(kind[key]))
			}
		}
	}
	return n.hash("seal", append([][]byte{[]byte(o.Name)}, parts...)...)
}

// sealed says whether an object's labels and annotations are as they were made.
func (n Names) sealed(o *metav1.ObjectMeta) bool {
	return hmac.Equal([]byte(n.seal(o)), []byte(o.Annotations[v1alpha1.AnnotationSeal]))
}
