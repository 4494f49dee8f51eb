package alerts

import "time"

// alertCase is what was scraped, and for which labels the alert's expression then has a
// result; how long it has to last ("for") is Prometheus' matter.
type alertCase struct {
	alert, name string
	given       []series
	fires       []string
}

// in is a time in seconds since 1970, so long from now.
func in(d time.Duration) float64 { return float64(now.Add(d).Unix()) }

const day = 24 * time.Hour

var cases = []alertCase{
	{"ScepterRACredentialExpired", "valid", []series{{`scepter_racredential_expiration_timestamp_seconds{namespace="pki",name="ra",role="Signing"}`, in(time.Minute), 0}}, nil},
	{"ScepterRACredentialExpired", "expired", []series{
		{`scepter_racredential_expiration_timestamp_seconds{namespace="pki",name="ra",role="Signing"}`, in(-time.Minute), 0},
		{`scepter_racredential_expiration_timestamp_seconds{namespace="pki",name="other",role="Signing"}`, in(day), 0},
	}, []string{`{name="ra", namespace="pki"}`}},

	{"ScepterRACredentialNotRenewed", "to be renewed", []series{{`scepter_racredential_renewal_timestamp_seconds{namespace="pki",name="ra",role="Signing"}`, in(-time.Minute), 0}}, nil},
	{"ScepterRACredentialNotRenewed", "overdue", []series{
		{`scepter_racredential_renewal_timestamp_seconds{namespace="pki",name="ra",role="Signing"}`, in(-2 * time.Hour), 0},
	}, []string{`{name="ra", namespace="pki"}`}},

	{"ScepterRACredentialNotReady", "ready", []series{{`scepter_racredential_ready{namespace="pki",name="ra"}`, 1, 0}}, nil},
	{"ScepterRACredentialNotReady", "not ready", []series{{`scepter_racredential_ready{namespace="pki",name="ra"}`, 0, 0}}, []string{`{name="ra", namespace="pki"}`}},

	{"ScepterRACredentialUnfit", "once", []series{{`scepter_racredential_reissue_attempts{namespace="pki",name="ra"}`, 1, 0}}, nil},
	{"ScepterRACredentialUnfit", "again and again", []series{{`scepter_racredential_reissue_attempts{namespace="pki",name="ra"}`, 3, 0}}, []string{`{name="ra", namespace="pki"}`}},

	{"ScepterRolloverStuck", "at rest", rollover(in(day), in(day)), nil},
	{"ScepterRolloverStuck", "shows an earlier one", rollover(in(day), in(90*day)), []string{`{name="corp", namespace="pki", racredential="ra"}`}},
	{"ScepterRolloverStuck", "a credential of another namespace", []series{
		{`scepter_endpoint_racredential_not_after_timestamp_seconds{namespace="pki",name="corp",racredential="ra"}`, in(day), 0},
		{`scepter_racredential_expiration_timestamp_seconds{namespace="other",name="ra",role="Signing"}`, in(90 * day), 0},
	}, nil},

	{"ScepterServerShowsExpiredCertificate", "an earlier one has expired", []series{
		{`scepter_ra_certificate_not_after_timestamp_seconds{namespace="pki",endpoint="corp",pod="a",role="Signing",active="false"}`, in(-day), 0},
		{`scepter_ra_certificate_not_after_timestamp_seconds{namespace="pki",endpoint="corp",pod="a",role="Signing",active="true"}`, in(day), 0},
	}, nil},
	{"ScepterServerShowsExpiredCertificate", "one of the pair has expired", []series{
		{`scepter_ra_certificate_not_after_timestamp_seconds{namespace="pki",endpoint="corp",pod="a",role="Signing",active="true"}`, in(day), 0},
		{`scepter_ra_certificate_not_after_timestamp_seconds{namespace="pki",endpoint="corp",pod="a",role="Encryption",active="true"}`, in(-time.Second), 0},
	}, []string{`{endpoint="corp", namespace="pki", pod="a"}`}},

	{"ScepterSignerCAExpires", "far", []series{{`scepter_signer_ca_not_after_timestamp_seconds{namespace="pki",endpoint="corp",pod="a"}`, in(31 * day), 0}}, nil},
	{"ScepterSignerCAExpires", "near", []series{
		{`scepter_signer_ca_not_after_timestamp_seconds{namespace="pki",endpoint="corp",pod="a"}`, in(29 * day), 0},
		{`scepter_signer_ca_not_after_timestamp_seconds{namespace="pki",endpoint="corp",pod="b"}`, in(29 * day), 0},
	}, []string{`{endpoint="corp", namespace="pki"}`}},

	{"ScepterCACertificateExpires", "far, and what is not a CA", []series{
		{`scepter_endpoint_ca_expiration_timestamp_seconds{namespace="pki",name="corp",role="Issuing",fingerprint="aa"}`, in(31 * day), 0},
		{`scepter_endpoint_ca_expiration_timestamp_seconds{namespace="pki",name="corp",role="RA",fingerprint="bb"}`, in(day), 0},
	}, nil},
	{"ScepterCACertificateExpires", "the root", []series{
		{`scepter_endpoint_ca_expiration_timestamp_seconds{namespace="pki",name="corp",role="Issuing",fingerprint="aa"}`, in(31 * day), 0},
		{`scepter_endpoint_ca_expiration_timestamp_seconds{namespace="pki",name="corp",role="Root",fingerprint="cc"}`, in(29 * day), 0},
	}, []string{`{fingerprint="cc", name="corp", namespace="pki", role="Root"}`}},

	{"ScepterEndpointNotReady", "ready", ready(1, 0, 0), nil},
	{"ScepterEndpointNotReady", "not ready", ready(0, 1, 0), []string{`{condition="Ready", name="corp", namespace="pki", status="True"}`}},
	{"ScepterEndpointNotReady", "unknown", ready(0, 0, 1), []string{`{condition="Ready", name="corp", namespace="pki", status="True"}`}},

	{"ScepterCanaryFails", "passed", []series{{`scepter_endpoint_canary_passed{namespace="pki",name="corp",level="Protocol"}`, 1, 0}}, nil},
	{"ScepterCanaryFails", "failed", []series{{`scepter_endpoint_canary_passed{namespace="pki",name="corp",level="Protocol"}`, 0, 0}}, []string{`{level="Protocol", name="corp", namespace="pki"}`}},

	{"ScepterIssuerNotReady", "ready", []series{{`scepter_endpoint_condition{namespace="pki",name="corp",condition="IssuerReady",status="False"}`, 0, 0}}, nil},
	{"ScepterIssuerNotReady", "not ready", []series{
		{`scepter_endpoint_condition{namespace="pki",name="corp",condition="IssuerReady",status="False"}`, 1, 0},
	}, []string{`{condition="IssuerReady", name="corp", namespace="pki", status="False"}`}},

	{"ScepterEnrolmentsRefused", "some", enrolments(10, "failure", 4), nil},
	{"ScepterEnrolmentsRefused", "most", enrolments(4, "failure", 10), []string{`{endpoint="corp", namespace="pki"}`}},
	{"ScepterEnrolmentsRefused", "most of a few", enrolments(0.05, "failure", 0.2), nil},

	{"ScepterFunnelBroken", "nothing unusual", nil, nil},
	{"ScepterFunnelBroken", "Apple comes no further than GetCACert", []series{
		{`scepter_endpoint_funnel_broken{namespace="pki",name="corp",family="Apple",hop="PKIOperation"}`, 1, 0},
	}, []string{`{family="Apple", hop="PKIOperation", name="corp", namespace="pki"}`}},

	{"ScepterDependencyAway", "now and then", enrolments(100, "unavailable", 1), nil},
	{"ScepterDependencyAway", "often", enrolments(10, "unavailable", 10), []string{`{endpoint="corp", namespace="pki", reason="Some"}`}},

	{"ScepterAuditLost", "none", []series{{`scepter_ra_audit_lost_total{namespace="pki",endpoint="corp",pod="a",place="sink"}`, 7, 0}}, nil},
	{"ScepterAuditLost", "some", []series{
		{`scepter_ra_audit_lost_total{namespace="pki",endpoint="corp",pod="a",place="sink"}`, 70, 1},
	}, []string{`{endpoint="corp", namespace="pki", place="sink"}`}},

	{"ScepterAuditSinkDown", "up", []series{{`scepter_ra_audit_sink_up{namespace="pki",endpoint="corp",pod="a"}`, 1, 0}}, nil},
	{"ScepterAuditSinkDown", "down for one", []series{
		{`scepter_ra_audit_sink_up{namespace="pki",endpoint="corp",pod="a"}`, 1, 0},
		{`scepter_ra_audit_sink_up{namespace="pki",endpoint="corp",pod="b"}`, 0, 0},
	}, []string{`{endpoint="corp", namespace="pki"}`}},

	{"ScepterSignerFileProblems", "none", []series{{`scepter_signer_file_problems{namespace="pki",endpoint="corp",pod="a"}`, 0, 0}}, nil},
	{"ScepterSignerFileProblems", "some", []series{{`scepter_signer_file_problems{namespace="pki",endpoint="corp",pod="a"}`, 2, 0}}, []string{`{endpoint="corp", namespace="pki"}`}},

	{"ScepterOperatorAway", "one leads", []series{
		{`leader_election_master_status{name="scepter-operator",pod="a"}`, 1, 0},
		{`leader_election_master_status{name="scepter-operator",pod="b"}`, 0, 0},
	}, nil},
	{"ScepterSystemicStop", "none", []series{{`scepter_systemic_stop{}`, 0, 0}}, nil},
	{"ScepterSystemicStop", "one", []series{{`scepter_systemic_stop{}`, 1, 0}}, []string{`{}`}},

	{"ScepterRolloutStopped", "another metric", []series{{`scepter_rollout_endpoints_behind{}`, 3, 0}}, nil},
	{"ScepterRolloutStopped", "by one endpoint", []series{{`scepter_rollout_stopped{namespace="pki",name="corp"}`, 1, 0}}, []string{`{name="corp", namespace="pki"}`}},

	{"ScepterOperatorAway", "another's leader", []series{{`leader_election_master_status{name="other",pod="a"}`, 1, 0}}, []string{`{}`}},
	{"ScepterOperatorAway", "nobody leads", []series{{`leader_election_master_status{name="scepter-operator",pod="a"}`, 0, 0}}, []string{`{}`}},
}

func rollover(shown, newest float64) []series {
	return []series{
		{`scepter_endpoint_racredential_not_after_timestamp_seconds{namespace="pki",name="corp",racredential="ra"}`, shown, 0},
		{`scepter_racredential_expiration_timestamp_seconds{namespace="pki",name="ra",role="Signing"}`, newest, 0},
	}
}

func ready(yes, no, unknown float64) []series {
	return []series{
		{`scepter_endpoint_condition{namespace="pki",name="corp",condition="Ready",status="True"}`, yes, 0},
		{`scepter_endpoint_condition{namespace="pki",name="corp",condition="Ready",status="False"}`, no, 0},
		{`scepter_endpoint_condition{namespace="pki",name="corp",condition="Ready",status="Unknown"}`, unknown, 0},
	}
}

// enrolments come so often a minute, in two servers.
func enrolments(good float64, result string, bad float64) []series {
	var all []series
	for _, pod := range []string{"a", "b"} {
		all = append(all,
			series{`scepter_ra_enrolments_total{namespace="pki",endpoint="corp",pod="` + pod + `",result="success",reason=""}`, 100 * good, good},
			series{`scepter_ra_enrolments_total{namespace="pki",endpoint="corp",pod="` + pod + `",result="` + result + `",reason="Some"}`, 100 * bad, bad})
	}
	return all
}
