// Package render turns a ScepEndpoint, and what was found out about it, into the
// child objects that are wanted: one file a kind, each a pure function, tested by
// golden files. A nil child is not wanted. Owner references are added where the
// children are written.
package render
