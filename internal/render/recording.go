package render

import (
	"cmp"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// RecordingSources are the objects that the sink and tracing need, by the directory of
// their files.
func RecordingSources(ep *v1alpha1.ScepEndpoint) map[string][]ChallengeSource {
	out := map[string][]ChallengeSource{}
	r := ep.Spec.Recording
	if r == nil {
		return out
	}
	if s := r.Sink; s != nil {
		out[raconfig.SinkDir] = append(sinkSecrets(s), bundleSources(s.CABundleRef)...)
	}
	if t := r.Tracing; t != nil {
		out[raconfig.TracingDir] = bundleSources(t.CABundleRef)
	}
	return out
}

func sinkSecrets(s *v1alpha1.RecordingSink) []ChallengeSource {
	sent := func(name, key string) []ChallengeSource {
		return []ChallengeSource{{Secret: name, Sent: true, Files: []ChallengeFile{{key, key}}}}
	}
	switch {
	case s.Webhook != nil:
		return sent(s.Webhook.SecretRef.Name, raconfig.SigningSecretFile)
	case s.OTLP != nil && s.OTLP.SecretRef != nil:
		return sent(s.OTLP.SecretRef.Name, raconfig.BearerTokenFile)
	}
	return nil
}

// configRecording is nil where nothing is sent anywhere.
func configRecording(ep *v1alpha1.ScepEndpoint) *raconfig.Recording {
	r := ep.Spec.Recording
	if r == nil || r.Sink == nil && r.Tracing == nil {
		return nil
	}
	out := &raconfig.Recording{}
	if r.Sink != nil {
		out.Sink = configSink(r.Sink)
	}
	if t := r.Tracing; t != nil {
		out.Tracing = &raconfig.Tracing{URL: t.Endpoint, Ratio: t.Ratio, CABundle: t.CABundleRef != nil}
	}
	return out
}

func configSink(s *v1alpha1.RecordingSink) *raconfig.Sink {
	out := &raconfig.Sink{
		Kind:           raconfig.SinkWebhook,
		CABundle:       s.CABundleRef != nil,
		TimeoutSeconds: int32(s.Timeout.Duration / time.Second),
		OnFailure:      cmp.Or(s.OnSinkFailure, v1alpha1.SinkFailureContinue),
	}
	if s.OTLP != nil {
		out.Kind, out.URL, out.Token = raconfig.SinkOTLP, s.OTLP.URL, s.OTLP.SecretRef != nil
	} else if s.Webhook != nil {
		out.URL = s.Webhook.URL
	}
	return out
}
