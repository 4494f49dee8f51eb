package scep_test

import (
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func BenchmarkOpen(b *testing.B) {
	bench := newBench(b)
	message := bench.message(b).Bytes(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := scep.Open(message, bench.id, scep.Settings{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	bench := newBench(b)
	r, err := scep.Open(bench.message(b).Bytes(b), bench.id, scep.Settings{})
	if err != nil {
		b.Fatal(err)
	}
	reply := scep.Success(sceptest.SelfSigned(b, nil, sceptest.RSAKey(b, 1)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Respond(bench.id, reply); err != nil {
			b.Fatal(err)
		}
	}
}
