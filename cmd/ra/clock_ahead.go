//go:build clockahead

package main

import "time"

// clock is ten minutes ahead: for the tests of what is said of such a server.
func clock() time.Time { return time.Now().Add(10 * time.Minute) }
