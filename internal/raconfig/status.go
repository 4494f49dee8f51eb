package raconfig

// StatusPath is where a server reports its ReplicaStatus, as JSON, on AdminPort.
const StatusPath = "/status"

// ReplicaStatus is what a server says of itself. It holds no secrets.
type ReplicaStatus struct {
	// Pod is the name of the server's pod.
	Pod string `json:"pod"`
	// Version of the server's program.
	Version string `json:"version"`
	// ConfigHash is the Hash of the configuration file in use.
	ConfigHash string `json:"configHash,omitempty"`
	// ConfigGeneration is the ScepEndpoint generation of the configuration in use.
	ConfigGeneration int64 `json:"configGeneration,omitempty"`
	// ActiveGeneration is the keyring generation that GetCACert shows.
	ActiveGeneration string `json:"activeGeneration,omitempty"`
	// HeldGenerations are the generations whose keys are loaded, the newest first.
	HeldGenerations []string `json:"heldGenerations,omitempty"`
	// Problems are what keeps the newest files from use, in words for a person:
	// each names the file and the remedy. Empty when all is well.
	Problems []string `json:"problems,omitempty"`
}

// Holds says whether the server has loaded a generation.
func (s *ReplicaStatus) Holds(generation string) bool {
	for _, have := range s.HeldGenerations {
		if have == generation {
			return true
		}
	}
	return false
}
