package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// chartFiles is where the chart's templates find what config/ and the chart share.
const chartFiles = "charts/scepter/files"

// shared are the directories and files of config/ that the chart installs too,
// each with the directory below chartFiles it goes to.
var shared = []struct{ glob, dir string }{
	{"config/crd/scepter.dev_*.yaml", "crds"},
	{"config/admission/ra_*.yaml", "admission"},
	{"config/rbac/role.yaml", "rbac"},
	{"config/rbac/ra.yaml", "rbac"},
	{"config/rbac/user_roles.yaml", "rbac"},
	{"config/rbac/leader_election.yaml", "rbac"},
}

// writeChartFiles copies what config/ and the chart share, one object a file
// because Helm's fromYaml reads one, and derives the operator's cluster-wide rules.
func writeChartFiles(root string) error {
	if err := os.RemoveAll(filepath.Join(root, chartFiles)); err != nil {
		return err
	}
	for _, s := range shared {
		sources, err := filepath.Glob(filepath.Join(root, s.glob))
		if err != nil {
			return fmt.Errorf("glob %q: %w", s.glob, err)
		}
		if len(sources) == 0 {
			return fmt.Errorf("there is no %s", s.glob)
		}
		for _, source := range sources {
			if err := copyObjects(source, filepath.Join(root, chartFiles, s.dir)); err != nil {
				return err
			}
		}
	}
	if err := copyRules(root); err != nil {
		return err
	}
	return writeClusterRole(root)
}

// rules are Prometheus' own format, not an object.
const rules = "config/prometheus/scepter.rules.yaml"

// copyRules gives the chart the alerts.
func copyRules(root string) error {
	content, err := os.ReadFile(filepath.Join(root, rules))
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(root, chartFiles, "alerts", filepath.Base(rules)), content)
}

// copyObjects writes each object of a YAML file into a file of its own.
func copyObjects(source, dir string) error {
	content, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	for _, document := range splitDocuments(content) {
		name, err := objectFile(document)
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		if err := writeFile(filepath.Join(dir, name), document); err != nil {
			return err
		}
	}
	return nil
}

// splitDocuments splits YAML at its document markers.
func splitDocuments(content []byte) [][]byte {
	var documents [][]byte
	for part := range bytes.SplitSeq(append([]byte("\n"), content...), []byte("\n---\n")) {
		if part = bytes.TrimSpace(part); len(part) > 0 {
			documents = append(documents, append(part, '\n'))
		}
	}
	return documents
}

// objectFile names the file for an object: kind.name.yaml, in lower case.
func objectFile(document []byte) (string, error) {
	var object struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(document, &object); err != nil {
		return "", err
	}
	if object.Kind == "" || object.Metadata.Name == "" {
		return "", fmt.Errorf("an object has no kind or name")
	}
	return string(bytes.ToLower([]byte(object.Kind + "." + object.Metadata.Name + ".yaml"))), nil
}

// clusterScoped are the resources without namespace that the operator reads.
var clusterScoped = []string{"clusterissuers", "gatewayclasses", "ingressclasses", "namespaces"}

// writeClusterRole writes the part of the operator's role that it needs cluster-wide
// even where it is confined to some namespaces.
func writeClusterRole(root string) error {
	content, err := os.ReadFile(filepath.Join(root, "config/rbac/role.yaml"))
	if err != nil {
		return err
	}
	var role rbacv1.ClusterRole
	if err := yaml.Unmarshal(content, &role); err != nil {
		return fmt.Errorf("config/rbac/role.yaml: %w", err)
	}
	role.Name += "-cluster"
	role.Rules = clusterRules(role.Rules)
	out, err := yaml.Marshal(role)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(root, chartFiles, "rbac", "clusterrole."+role.Name+".yaml"), out)
}

// clusterRules keeps of each rule the resources that have no namespace.
func clusterRules(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	kept := []rbacv1.PolicyRule{}
	for _, rule := range rules {
		rule.Resources = slices.DeleteFunc(slices.Clone(rule.Resources), func(resource string) bool {
			return !slices.Contains(clusterScoped, resource)
		})
		if len(rule.Resources) > 0 {
			kept = append(kept, rule)
		}
	}
	return kept
}
