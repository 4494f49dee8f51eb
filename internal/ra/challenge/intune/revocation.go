package intune

import (
	"context"
	"errors"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

// Paths below the revocation service.
const (
	downloadPath = "CertificateAuthorityRequests/downloadRevocationRequests"
	uploadPath   = "CertificateAuthorityRequests/uploadRevocationResults"
)

// MaxRevocations is how many revocation requests Intune gives at a time.
const MaxRevocations = 500

// RevocationRequest is a certificate that Intune wants revoked.
type RevocationRequest struct {
	// RequestContext identifies the request in the result.
	RequestContext string `json:"requestContext"`
	// SerialNumber as the success notification told it, in hexadecimal.
	SerialNumber string `json:"serialNumber"`
	IssuerName   string `json:"issuerName"`
	// CAConfiguration as the success notification told it.
	CAConfiguration string `json:"caConfiguration"`
}

// RevocationCode says how a revocation went: 4000 to 4099 for good, 4100 to 4199
// until a later try.
type RevocationCode int

// The codes that this package uses.
const (
	RevocationNone         RevocationCode = 0
	RevocationNonRetryable RevocationCode = 4000
	RevocationRetryable    RevocationCode = 4100
	revocationLast         RevocationCode = 4199
)

// RevocationResult is what became of a revocation request.
type RevocationResult struct {
	RequestContext string         `json:"requestContext"`
	Succeeded      bool           `json:"succeeded"`
	Code           RevocationCode `json:"errorCode"`
	Message        string         `json:"errorMessage"`
}

var (
	errBatch  = errors.New("a batch is of 1 to 500 revocation requests")
	errUpload = errors.New("the revocation results were not taken")
	errResult = errors.New("a revocation result has either succeeded or a code")
)

// DownloadRevocations asks for certificates to be revoked: at most limit, of one
// issuer, or with "" of any. It asks again for those whose results were not uploaded.
func (c *Client) DownloadRevocations(ctx context.Context, limit int, issuer string) ([]RevocationRequest, error) {
	if limit < 1 || limit > MaxRevocations {
		return nil, errBatch
	}
	parameters := map[string]any{"maxRequests": limit, "issuerName": nil}
	if issuer != "" {
		parameters["issuerName"] = issuer
	}
	var list struct {
		Value *[]RevocationRequest `json:"value"`
	}
	if _, err := c.post(ctx, revocationService, downloadPath, map[string]any{"downloadParameters": parameters}, &list); err != nil {
		return nil, err
	}
	if list.Value == nil || len(*list.Value) > limit {
		return nil, &callError{"Intune", &outbound.Error{Fault: outbound.Unreadable}}
	}
	return *list.Value, nil
}

// UploadRevocations tells what became of revocation requests.
func (c *Client) UploadRevocations(ctx context.Context, results []RevocationResult) error {
	if len(results) < 1 || len(results) > MaxRevocations {
		return errBatch
	}
	for _, r := range results {
		if r.Succeeded != (r.Code == RevocationNone) || r.Code != RevocationNone && (r.Code < RevocationNonRetryable || r.Code > revocationLast) {
			return errResult
		}
	}
	var taken struct {
		Value bool `json:"value"`
	}
	if _, err := c.post(ctx, revocationService, uploadPath, map[string]any{"results": results}, &taken); err != nil {
		return err
	}
	if !taken.Value {
		return errUpload
	}
	return nil
}
