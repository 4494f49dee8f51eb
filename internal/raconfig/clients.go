package raconfig

import (
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Client says how the servers use an RACredential of purpose PolicyModule.
type Client struct {
	// ActiveGeneration is the ID of the keyring generation that is shown to services. A
	// server that lacks it, or finds it expired, shows the newest one that is valid, and
	// says so in its status.
	ActiveGeneration string `json:"activeGeneration"`
}

// HeldClient is what a server holds of a client credential.
type HeldClient struct {
	// Credential is the name of the RACredential.
	Credential string `json:"credential"`
	// ShownGeneration is what the server shows to services; "" if it has nothing valid.
	ShownGeneration string `json:"shownGeneration,omitempty"`
	// HeldGenerations are the generations whose keys are loaded, the newest first.
	HeldGenerations []string `json:"heldGenerations,omitempty"`
}

// ClientProbe is how a service took a generation of a client credential when the
// server asked it last.
type ClientProbe struct {
	// Credential is the name of the RACredential, Generation the ID within its keyring.
	Credential string `json:"credential"`
	Generation string `json:"generation"`
	// Challenge whose service was asked: the one that judges it, or with Notification
	// the one that is told how enrolments end.
	Challenge    string `json:"challenge"`
	Notification bool   `json:"notification,omitempty"`
	// Result, what it was told by, and the HTTP status of the answer, if there was one.
	Result     v1alpha1.ClientAnswer       `json:"result"`
	Reason     v1alpha1.ClientAnswerReason `json:"reason,omitempty"`
	HTTPStatus int                         `json:"httpStatus,omitempty"`
	// Since is when the service first answered so, to the second.
	Since time.Time `json:"since"`
}

// HoldsClient says whether the server has loaded a generation of a client credential.
func (s *ReplicaStatus) HoldsClient(credential, generation string) bool {
	return slices.ContainsFunc(s.Clients, func(c HeldClient) bool {
		return c.Credential == credential && slices.Contains(c.HeldGenerations, generation)
	})
}
