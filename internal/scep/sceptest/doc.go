// Package sceptest is for the tests of everything that speaks SCEP: a CA and an
// RA in memory (NewCA, NewIdentity, NewServer), the same ones in every process for
// what is kept in files (FixedIdentity), a server that lies to its clients
// (NewHostileServer), and messages as no well-behaved client sends them (Message,
// Indefinite, ReplaceOID, SlowPost).
package sceptest
