// Package rfc8894 is the Simple Certificate Enrolment Protocol's RFC as a table:
// what it demands, of whom, how strongly, and where this project does it. The
// tests run each row against the engine, and docs/rfc8894.md is made from it.
//
// The table is data only. Its texts are a reading of the RFC in few words; where
// the two differ the RFC is right.
package rfc8894
