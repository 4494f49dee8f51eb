package intunesim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
)

// entraHandler answers as Microsoft Entra ID.
func (s *Tenant) entraHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+TenantID+"/v2.0/.well-known/openid-configuration", s.describe)
	mux.HandleFunc("POST /"+TenantID+"/oauth2/v2.0/token", s.token)
	return mux
}

func (s *Tenant) describe(w http.ResponseWriter, r *http.Request) {
	base := "https://" + r.Host + "/" + TenantID
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"issuer":                 base + "/v2.0",
		"authorization_endpoint": base + "/oauth2/v2.0/authorize",
		"token_endpoint":         base + "/oauth2/v2.0/token",
	})
}

// token issues a token for client credentials (RFC 6749, section 4.4).
func (s *Tenant) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	scope := firstScope(r.PostForm.Get("scope"))
	if r.PostForm.Get("grant_type") != "client_credentials" || !s.isApplication(r.PostForm) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client","error_codes":[7000215],"error_description":"AADSTS7000215: `+r.PostForm.Get("client_secret")+faults.Leak+`"}`)
		return
	}
	if scope != graphScope && scope != intuneScope {
		s.complain("token: scope %q", scope)
	}
	s.issued++
	token := fmt.Sprintf("access-token-%d-that-opens-everything", s.issued)
	s.tokens[token] = scope
	_ = json.NewEncoder(w).Encode(map[string]any{
		"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token,
	})
}

// firstScope: the identity library adds scopes of OpenID Connect.
func firstScope(scopes string) string {
	for scope := range strings.FieldsSeq(scopes) {
		if strings.HasPrefix(scope, "https://") {
			return scope
		}
	}
	return ""
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func (s *Tenant) isApplication(form url.Values) bool {
	if form.Get("client_id") != ClientID {
		return false
	}
	assertion := form.Get("client_assertion")
	if assertion == "" {
		return form.Get("client_secret") == ClientSecret
	}
	return form.Get("client_assertion_type") == assertionType && (assertion == FederatedToken || s.isSigned(assertion))
}

// isSigned checks an assertion (RFC 7523) against the registered certificate.
func (s *Tenant) isSigned(assertion string) bool {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 || s.certificate == nil {
		return false
	}
	key, ok := s.certificate.PublicKey.(*rsa.PublicKey)
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if !ok || err != nil {
		return false
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, nil) == nil ||
		rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
}
