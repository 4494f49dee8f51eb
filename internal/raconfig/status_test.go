package raconfig

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// TestStatusIsAsDocumented holds the format to the example in docs/status.md, which
// has every field: a field that is renamed, added or dropped breaks it.
func TestStatusIsAsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/status.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "```json\n")
	example, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("docs/status.md has no example")
	}
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	morning := noon.Add(19 * time.Hour)
	status := ReplicaStatus{
		Format: StatusFormat, Pod: "corp-ra-5d9c7b6f4-x2x7k", Version: "v0.1.0",
		ConfigHash: "0123456789abcdef", ConfigGeneration: 7,
		ActiveGeneration: "a1b2c3d4e5f60718", HeldGenerations: []string{"a1b2c3d4e5f60718"},
		Problems: []string{"tls: tls.crt and tls.key: ...; what was there before stays in use until this is corrected"},
		Warnings: []string{"config: the field colour is not known to this version and is ignored: run the server that goes with the operator"},
		Certificates: []HeldCertificate{{
			Generation: "a1b2c3d4e5f60718", Role: v1alpha1.RoleCombined, Fingerprint: "00ff",
			NotAfter: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), Active: true,
		}},
		Draining:   true,
		IssuingCA:  &IssuingCA{Fingerprint: "00ff", Subject: "CN=Corp CA", Since: noon, Last: morning},
		LastIssued: &morning, MissingRights: []string{"create certificaterequests.cert-manager.io"},
		Collection: &Collection{Owed: []string{"corp-0123456789abcdef0123"}, Collected: []string{"corp-3210fedcba9876543210"}},
		Away: []Away{
			{Dependency: DependencyAPIServer, Since: noon, Failures: 3},
			{
				Dependency: DependencyChallenge, Name: "mdm", Reason: AwayUnauthenticated, HTTPStatus: 401, Wants: []string{"Negotiate"},
				Since: noon, Last: noon.Add(5 * time.Minute), Failures: 12,
			},
		},
		Troubles:           []Trouble{{Kind: TroubleRecordsFull, Since: noon, Last: noon.Add(5 * time.Minute), Count: 12}},
		Funnel:             []FunnelRow{{Family: "Apple", Steps: map[string]uint64{"GetCACaps": 10, "GetCACert": 10, "PKIOperation": 4}, LongestTargetBytes: 3886}},
		Paths:              map[string]uint64{"SCEP": 24, "NDESFolder": 3},
		Trial:              &TrialProblem{ID: "0123456789abcdef", Refused: true, Message: "admission refuses the CertificateRequest"},
		UserAgents:         map[string]uint64{"Darwin/18": 24, "None": 3},
		LongestTargetBytes: 3886,
		Probes: &ProbeReport{
			Vantage: v1alpha1.VantageCluster,
			Admin: &ProbeResult{
				URL: "https://mint.example.com/certsrv/mscep_admin/", At: noon, Addresses: []string{"192.0.2.20"}, Proved: true,
			},
			Server: ProbeResult{
				URL: "http://127.0.0.1:8080/scep", At: noon, Addresses: []string{"127.0.0.1"}, Proved: true,
				Canary: &CanaryResult{Level: v1alpha1.CanaryProtocol, At: noon, Failure: &CanaryFailure{
					Step: v1alpha1.CanaryReply, Proved: true, Cause: ProbeFailure{Kind: FailureUnfit, Detail: "bad reply: not signed by the RA certificate of GetCACert"},
				}},
			},
			URLs: []ProbeResult{{
				URL: "https://scep.example.com/scep", At: noon, Addresses: []string{"192.0.2.10"}, Proved: true, ClockSkewSeconds: 120,
				Answer: &ProbeAnswer{Capabilities: []string{"AES", "POSTPKIOperation", "SHA-256"}, Certificates: []ProbeCertificate{
					{Role: v1alpha1.CARoleRA, Subject: "CN=fleet-ra", Fingerprint: "00ff", NotAfter: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)},
				}},
				Failure: &ProbeFailure{Kind: FailureRedirect, Status: 308, Server: "nginx", Detail: "https://scep.example.com/scep/"},
				TLS:     &ProbeTLS{Fingerprint: "00ff", NotAfter: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), Chain: true},
				Shape: &ProbeShape{
					At: noon, MaxTargetBytes: 4096, Target: &ProbeFailure{Kind: FailureStatus, Status: 414, Server: "nginx", Bytes: 8192},
					Query:  &ProbeFailure{Kind: FailureAltered, Status: 200, Detail: "plus signs arrive as spaces"},
					Path:   &ProbeFailure{Kind: FailureStatus, Status: 404, Detail: "/scep/"},
					Post:   &ProbeFailure{Kind: FailureStatus, Status: 405},
					HTTP10: &ProbeFailure{Kind: FailureStatus, Status: 426},
				},
			}},
		},
		Dependencies: []ProbedDependency{{
			Dependency: DependencyChallenge, Name: "mdm", Host: "hook.example.com:443", Addresses: []string{"192.0.2.20"},
			Failure: &ProbeFailure{Kind: FailureStatus, Status: 403}, ClockSkewSeconds: -3600,
			Proxy: "proxy.example.com:3128", AtProxy: true, Since: noon,
		}},
		ChallengeKeys: []string{"5d41402abc4b2a76", "7d793037a0760186"},
		Clients: []HeldClient{{
			Credential: "policy", ShownGeneration: "0a1b2c3d4e5f6071", HeldGenerations: []string{"9f8e7d6c5b4a3021", "0a1b2c3d4e5f6071"},
		}},
		ClientProbes: []ClientProbe{{
			Credential: "policy", Generation: "9f8e7d6c5b4a3021", Challenge: "mdm",
			Result: v1alpha1.ClientRefused, Reason: v1alpha1.ClientReasonForbidden, HTTPStatus: 403, Since: noon,
		}},
	}
	encoded, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(example), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the format is not as documented (-documented +encoded):\n%s", diff)
	}
}

func TestTroubledSince(t *testing.T) {
	now := time.Now()
	s := &ReplicaStatus{Troubles: []Trouble{{Kind: TroubleRefused, Last: now}}}
	if !s.TroubledSince(TroubleRefused, now) || s.TroubledSince(TroubleRefused, now.Add(time.Second)) || s.TroubledSince(TroubleMismatch, now) {
		t.Error("the time of the last occurrence does not count")
	}
}

func TestChallengeKeyID(t *testing.T) {
	one, two := ChallengeKeyID([]byte("key one")), ChallengeKeyID([]byte("key two"))
	if len(one) != 16 || one == two || one != ChallengeKeyID([]byte("key one")) {
		t.Errorf("IDs %s and %s", one, two)
	}
	s := &ReplicaStatus{ChallengeKeys: []string{one, two}}
	if !s.HoldsChallengeKeys([]string{one, two}) || s.HoldsChallengeKeys([]string{two, one}) || s.HoldsChallengeKeys([]string{one}) {
		t.Error("the order or the number of keys does not count")
	}
}
