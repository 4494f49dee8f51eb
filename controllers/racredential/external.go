package racredential

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

var (
	errOwnKeyring  = errors.New("it is this credential's own keyring: name the Secret that somebody else fills")
	errNoKeyring   = errors.New("it is no keyring (keyring.json is missing): say in role what its certificate does")
	errIsKeyring   = errors.New("it is a keyring, which says itself what its certificates do: leave role out")
	errNoneUsable  = errors.New("the keyring holds no generation: wait for the cluster that fills it")
	errRolesDiffer = errors.New("the keyring is of another purpose: make an RACredential of that purpose for it")
)

// observeExternal reads the Secrets that the credential comes from. A keyring gives the
// sources of its newest generation, and the earlier ones beside them.
func (r *Reconciler) observeExternal(ctx context.Context, rc *v1alpha1.RACredential) ([]source, []raconfig.Generation) {
	var sources []source
	for _, ref := range rc.Spec.External.SecretRefs {
		secret, err := r.readSecret(ctx, client.ObjectKey{Namespace: rc.Namespace, Name: ref.Name})
		s := source{role: ref.Role, name: ref.Name, external: true, readErr: err}
		switch {
		case err != nil || secret == nil:
		case ref.Role == "":
			return readForeignKeyring(rc, s, secret.Data)
		default:
			s.material, s.contentErr = parseExternal(ref.Role, secret.Data)
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func readForeignKeyring(rc *v1alpha1.RACredential, s source, data map[string][]byte) ([]source, []raconfig.Generation) {
	generations, err := decodeForeignKeyring(rc, s.name, data)
	if err != nil {
		s.contentErr = err
		return []source{s}, nil
	}
	var sources []source
	for i := range generations[0].Certificates {
		c := &generations[0].Certificates[i]
		sources = append(sources, source{role: c.Role, name: s.name, external: true, material: c})
	}
	return sources, generations[1:]
}

func decodeForeignKeyring(rc *v1alpha1.RACredential, name string, data map[string][]byte) ([]raconfig.Generation, error) {
	if name == render.KeyringName(rc.Name) {
		return nil, errOwnKeyring
	}
	if len(data[raconfig.KeyringIndexFile]) == 0 {
		return nil, errNoKeyring
	}
	k, err := raconfig.DecodeKeyring(data)
	if err != nil {
		return nil, fmt.Errorf("read keyring: %w", err)
	}
	if len(k.Generations) == 0 {
		return nil, errNoneUsable
	}
	for i := range k.Generations {
		isClient := k.Generations[i].ByRole(v1alpha1.RoleClient) != nil
		if isClient != (rc.Spec.Purpose == v1alpha1.PurposePolicyModule) {
			return nil, errRolesDiffer
		}
	}
	return k.Generations, nil
}

// parseExternal reads what a person put into a Secret. It is nil without an error while
// there is nothing, or only a part.
func parseExternal(role v1alpha1.CredentialRole, data map[string][]byte) (*raconfig.Certificate, error) {
	if len(data[corev1.TLSCertKey]) == 0 || len(data[corev1.TLSPrivateKeyKey]) == 0 {
		if len(data[raconfig.KeyringIndexFile]) > 0 {
			return nil, errIsKeyring
		}
		return nil, nil
	}
	return parseSource(role, data)
}
