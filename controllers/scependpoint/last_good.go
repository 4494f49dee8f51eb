package scependpoint

import (
	"slices"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// configFiles are what the ConfigMap of an endpoint holds.
type configFiles struct {
	newest   string
	lastGood raconfig.LastGood
}

// planLastGood says which configuration is to lie beside the next one, for servers that
// start and cannot use that: the newest that every server uses, or else what is there.
func planLastGood(seen *observation, next string) raconfig.LastGood {
	all, known := serversAndSigners(seen)
	if !known {
		return seen.files.lastGood
	}
	for _, file := range []string{next, seen.files.newest} {
		if usedByAll(all, raconfig.Hash([]byte(file))) {
			return raconfig.LastGood{Config: file, Revisions: revisionsOf(all)}
		}
	}
	return seen.files.lastGood
}

// serversAndSigners are all that load the configuration, but for those that are not ready
// and say nothing: they may never come. They are known where both could be listed.
func serversAndSigners(seen *observation) (all []replica, known bool) {
	for _, crew := range []read[[]replica]{seen.replicas, seen.signers.replicas} {
		if crew.err != nil {
			return nil, false
		}
		if crew.value != nil {
			all = append(all, *crew.value...)
		}
	}
	silent := func(r replica) bool { return !r.ready && r.status == nil }
	return slices.DeleteFunc(all, silent), true
}

// usedByAll says whether every one of them, and one at least, uses a configuration.
func usedByAll(all []replica, hash string) bool {
	other := func(r replica) bool { return r.status == nil || r.status.ConfigHash != hash }
	return len(all) > 0 && !slices.ContainsFunc(all, other)
}

// revisionsOf are those of their pods, sorted: they change when a Deployment has replaced its
// pods, and not when a pod has.
func revisionsOf(all []replica) []string {
	var out []string
	for _, r := range all {
		out = append(out, raconfig.RevisionOf(r.name))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
