package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

const configName = "agent.json"

// Config is what the keeper and the agent of a cluster are told by whoever
// starts them.
type Config struct {
	// Dir is the cluster's state directory.
	Dir string `json:"dir"`
	// Cgroup is the cluster's control group.
	Cgroup string `json:"cgroup"`
	// API is the API server's address inside the cluster, host and port.
	API string `json:"api"`
	// Hostname inside the namespaces.
	Hostname string `json:"hostname"`
	// Address of the node, in CIDR notation.
	Address string `json:"address"`
	// DNS is the address of the cluster's name server; empty: the machine's
	// own resolv.conf stays.
	DNS string `json:"dns,omitempty"`
}

// Write puts c into its state directory.
func (c Config) Write() error {
	content, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("agent's configuration: %w", err)
	}
	return os.WriteFile(filepath.Join(c.Dir, configName), content, 0o644)
}

// ReadConfig reads what Write wrote into the state directory dir.
func ReadConfig(dir string) (Config, error) {
	var c Config
	content, err := os.ReadFile(filepath.Join(dir, configName))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(content, &c); err != nil {
		return c, fmt.Errorf("agent's configuration: %w", err)
	}
	return c, nil
}

// PIDFile in the state directory holds the number of the process 1 of the
// cluster's namespaces, as the machine sees it.
const PIDFile = "init.pid"
