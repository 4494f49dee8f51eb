// Package apply is the only writer of child objects. It compares before it
// writes, so that children at rest cost no write; it writes by server-side apply
// under one field owner; it never takes over an object that belongs to somebody
// else; and it prunes only what its owner controls, and only after a list that succeeded.
package apply
