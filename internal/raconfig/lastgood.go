package raconfig

import (
	"slices"
	"strings"
)

// Files in the directory config/, beside ConfigFile.
const (
	// LastGoodConfigFile is the newest configuration that every server used. One that starts
	// while the newest of all cannot be used goes back to it.
	LastGoodConfigFile = "last-good.yaml"
	// LastGoodRevisionsFile has the revisions of these servers, one a line: see RevisionOf.
	LastGoodRevisionsFile = "last-good-revisions"
)

// LastGood is the newest configuration that every server used, and which servers they were.
// It fits what they mount and how they were started; those of a new revision do not go back
// to it, so that the Deployment replaces no server by one that refuses the newest.
type LastGood struct {
	// Config is the content of LastGoodConfigFile; empty before the first was used.
	Config string
	// Revisions of the servers, sorted.
	Revisions []string
}

// ReadLastGood reads the files of a directory or of a ConfigMap.
func ReadLastGood[T ~string | ~[]byte](files map[string]T) LastGood {
	return LastGood{
		Config:    string(files[LastGoodConfigFile]),
		Revisions: strings.Fields(string(files[LastGoodRevisionsFile])),
	}
}

// Files are the content of a ConfigMap; none if there is no configuration.
func (g LastGood) Files() map[string]string {
	if g.Config == "" {
		return nil
	}
	return map[string]string{LastGoodConfigFile: g.Config, LastGoodRevisionsFile: strings.Join(g.Revisions, "\n") + "\n"}
}

// Fits says whether a pod of this name may go back to the configuration.
func (g LastGood) Fits(pod string) bool {
	return g.Config != "" && slices.Contains(g.Revisions, RevisionOf(pod))
}

// randomLength is how many characters Kubernetes appends to the name of a ReplicaSet, or
// what of it fits, to make that of a pod (k8s.io/apiserver/pkg/storage/names).
const randomLength = 5

// RevisionOf is what the names of a ReplicaSet's pods have in common.
func RevisionOf(pod string) string { return pod[:max(0, len(pod)-randomLength)] }
