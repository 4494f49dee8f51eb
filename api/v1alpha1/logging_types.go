package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LogLevel says how much is logged.
// +kubebuilder:validation:Enum=Debug;Info;Warn;Error
type LogLevel string

// The log levels.
const (
	LogDebug LogLevel = "Debug"
	LogInfo  LogLevel = "Info"
	LogWarn  LogLevel = "Warn"
	LogError LogLevel = "Error"
)

// Logging says how much the servers and signers log. A change takes effect without a restart.
type Logging struct {
	// How much is logged; at Debug also each request as it arrives, by path and client.
	// +optional
	// +kubebuilder:default=Info
	Level LogLevel `json:"level,omitempty"`

	// When the level is Info again, by itself. Left out: never.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// LevelAt is the level at a time.
func (l Logging) LevelAt(now metav1.Time) LogLevel {
	if l.Until != nil && !now.Before(l.Until) {
		return LogInfo
	}
	return l.Level
}
