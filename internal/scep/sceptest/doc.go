// Package sceptest is for the tests of everything that speaks SCEP: a CA and an
// RA in memory (NewCA, NewIdentity, NewServer), and messages as no well-behaved
// client sends them (Message, Indefinite, ReplaceOID, SlowPost).
package sceptest
