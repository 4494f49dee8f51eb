package ra

import (
	"fmt"

	"k8s.io/client-go/kubernetes"

	"github.com/scepter-pki/scepter/internal/ra/access"
)

// newAccess makes what reviews the server's rights in the cluster; without a cluster there
// is nothing to ask, and it is nil.
func (s *Server) newAccess() (*access.Reviewer, error) {
	if s.options.Cluster == nil {
		return nil, nil
	}
	client, err := kubernetes.NewForConfig(s.options.Cluster)
	if err != nil {
		return nil, fmt.Errorf("client for reviews of the server's own rights: %w", err)
	}
	return access.New(client.AuthorizationV1().SelfSubjectAccessReviews(), s.rights, s.options.Now), nil
}

// rights are those that the server needs by the configuration in use.
func (s *Server) rights() access.Wanted {
	snapshot := s.reloader.Current()
	switch {
	case snapshot == nil || s.options.Issuer != nil:
		return access.Wanted{}
	case snapshot.Signers != nil:
		return access.Wanted{Namespace: snapshot.Config.Endpoint.Namespace, Rights: access.Direct}
	}
	return access.Wanted{Namespace: snapshot.Config.Endpoint.Namespace, Rights: access.ByRequests}
}

// missingRights is nil where none is known to be missing.
func (s *Server) missingRights() []string {
	if s.access == nil {
		return nil
	}
	return s.access.Missing()
}

// refused has the rights reviewed, because the API server has refused something.
func (s *Server) refused() {
	if s.access != nil {
		s.access.Refused()
	}
}
