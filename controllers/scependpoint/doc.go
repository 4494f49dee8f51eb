// Package scependpoint reconciles ScepEndpoints: it observes everything an
// endpoint depends on, plans (a pure function), acts through internal/apply, and
// reports the whole status once.
package scependpoint
