package mint

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// caller is somebody who may mint.
type caller struct{ name string }

var (
	errUnauthenticated = errors.New("nobody is known by these credentials")
	errForbidden       = errors.New("the caller may not create scependpoints/challenges")
)

// authenticate finds out who calls, and whether he may mint. On the admin exposure
// that may be the endpoint's user, or somebody with a client certificate. A caller
// who brings a word of his own is judged by that.
func (m *Minter) authenticate(r *http.Request, s *reload.Snapshot, isAdmin bool) (caller, error) {
	if isAdmin && r.Header.Get("Authorization") == "" && r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return m.authenticateCertificate(r.TLS.PeerCertificates, s)
	}
	if username, password, ok := r.BasicAuth(); ok {
		if !isAdmin || s.Admin.Basic == nil || !s.Admin.Basic.Is(username, password) {
			return caller{}, errUnauthenticated
		}
		return caller{"basic:" + username}, nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken {
		return caller{}, errUnauthenticated
	}
	return m.authenticateToken(r.Context(), token, s.Config)
}

func (m *Minter) authenticateCertificate(shown []*x509.Certificate, s *reload.Snapshot) (caller, error) {
	if s.Admin.Callers == nil {
		return caller{}, errUnauthenticated
	}
	name, err := s.Admin.Callers.Identify(shown, m.config.Now())
	if err == nil {
		return caller{"certificate:" + name}, nil
	}
	kind := errUnauthenticated
	if errors.Is(err, reload.ErrOtherName) {
		kind = errForbidden
	}
	return caller{}, fmt.Errorf("%w: client certificate %s: %s", kind, raconfig.Fingerprint(shown[0]), outbound.Text(err.Error()))
}

// maxToken bounds a token, in bytes; those of service accounts have one or two thousand.
const maxToken = 16 << 10

// Reviewer asks the API server about tokens and rights.
type Reviewer interface {
	// Authenticate says whose token it is; nil: nobody's, or not for the audience.
	Authenticate(ctx context.Context, token, audience string) (*authenticationv1.UserInfo, error)
	// Authorize says whether a user may do something.
	Authorize(ctx context.Context, user *authenticationv1.UserInfo, what authorizationv1.ResourceAttributes) (bool, error)
}

func (m *Minter) authenticateToken(ctx context.Context, token string, c *raconfig.Config) (caller, error) {
	user, err := m.config.Reviewer.Authenticate(ctx, token, raconfig.Audience(c.Endpoint.Namespace, c.Endpoint.Name))
	if err != nil {
		return caller{}, err
	}
	if user == nil {
		return caller{}, errUnauthenticated
	}
	who := caller{user.Username}
	// Whoever can get a token of the servers' own service account can make the issuer
	// sign whatever the endpoint grants: nothing is left to be asked.
	if user.Username == c.Issuance.ServiceAccount {
		return who, nil
	}
	allowed, err := m.config.Reviewer.Authorize(ctx, user, authorizationv1.ResourceAttributes{
		Namespace:   c.Endpoint.Namespace,
		Verb:        "create",
		Group:       v1alpha1.GroupName,
		Resource:    "scependpoints",
		Subresource: "challenges",
		Name:        c.Endpoint.Name,
	})
	switch {
	case err != nil:
		return who, err
	case !allowed:
		return who, errForbidden
	}
	return who, nil
}

// reviewTimeout bounds a question to the API server.
const reviewTimeout = 5 * time.Second

// ClusterReviewer asks with TokenReviews and LocalSubjectAccessReviews.
type ClusterReviewer struct{ Client kubernetes.Interface }

// Authenticate implements Reviewer.
func (r ClusterReviewer) Authenticate(ctx context.Context, token, audience string) (*authenticationv1.UserInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review, err := r.Client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("review a token: %w", err)
	}
	if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, audience) {
		return nil, nil
	}
	return &review.Status.User, nil
}

// Authorize implements Reviewer.
func (r ClusterReviewer) Authorize(ctx context.Context, user *authenticationv1.UserInfo, what authorizationv1.ResourceAttributes) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	extra := map[string]authorizationv1.ExtraValue{}
	for key, value := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(value)
	}
	review, err := r.Client.AuthorizationV1().LocalSubjectAccessReviews(what.Namespace).Create(ctx, &authorizationv1.LocalSubjectAccessReview{
		ObjectMeta: metav1.ObjectMeta{Namespace: what.Namespace},
		Spec: authorizationv1.SubjectAccessReviewSpec{
			ResourceAttributes: &what,
			User:               user.Username,
			Groups:             user.Groups,
			UID:                user.UID,
			Extra:              extra,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("review a caller's rights: %w", err)
	}
	return review.Status.Allowed, nil
}
