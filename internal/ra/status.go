package ra

import (
	"slices"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// replicaStatus is what /status says; docs/status.md describes it.
func (a *admin) replicaStatus() *raconfig.ReplicaStatus {
	s := a.status()
	out := &raconfig.ReplicaStatus{
		Format:          raconfig.StatusFormat,
		Pod:             a.pod,
		Version:         a.version,
		HeldGenerations: s.Held,
		Problems:        s.Problems,
		Warnings:        s.Warnings,
		Draining:        a.draining.Load(),
	}
	out.Away, out.Troubles = a.health.report()
	out.Away = slices.Concat(out.Away, a.services(), a.silent(), a.records.away())
	out.LastIssued = a.health.lastIssued()
	out.MissingRights = a.rights()
	out.Trial = a.trial()
	out.Collection = a.collection.report()
	out.RevocationsWanted = a.wanted()
	out.Probes, out.Dependencies = a.prober.Report(), a.prober.Dependencies()
	for _, row := range a.funnel() {
		out.Funnel = append(out.Funnel, statusOfFunnel(row))
		out.LongestTargetBytes = max(out.LongestTargetBytes, row.LongestTarget)
	}
	out.Paths, out.UserAgents = a.paths(), a.agents()
	out.ClientProbes = a.clientProbes()
	if c := s.Snapshot; c != nil {
		out.Clients = heldClients(c)
		out.ConfigHash = c.ConfigHash
		out.ConfigGeneration = c.Config.Endpoint.Generation
		out.ActiveGeneration = c.Config.ActiveGeneration
		out.Certificates = heldCertificates(c)
		for _, key := range c.ChallengeKeys {
			out.ChallengeKeys = append(out.ChallengeKeys, raconfig.ChallengeKeyID(key))
		}
		out.IssuingCA = a.issuingCA.last(c.Config.Issuance.IssuerRef)
	}
	return out
}

func statusOfFunnel(row audit.FunnelRow) raconfig.FunnelRow {
	return raconfig.FunnelRow{Family: string(row.Family), Steps: row.Steps, LongestTargetBytes: row.LongestTarget}
}

func heldClients(s *reload.Snapshot) []raconfig.HeldClient {
	var held []raconfig.HeldClient
	for _, c := range s.Clients {
		held = append(held, raconfig.HeldClient{Credential: c.Name, ShownGeneration: c.Shown(), HeldGenerations: c.Held()})
	}
	return held
}

func heldCertificates(s *reload.Snapshot) []raconfig.HeldCertificate {
	var held []raconfig.HeldCertificate
	for _, g := range s.Keyring.Generations {
		for _, c := range g.Certificates {
			held = append(held, raconfig.HeldCertificate{
				Generation:  g.ID,
				Role:        c.Role,
				Fingerprint: raconfig.Fingerprint(c.Certificate),
				NotAfter:    c.Certificate.NotAfter.UTC(),
				Active:      g.ID == s.Config.ActiveGeneration,
			})
		}
	}
	return held
}
