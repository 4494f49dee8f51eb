// Package remedy decides when something may be done about an endpoint that interrupts its
// servers: when they may be replaced although its spec did not ask for it. It knows plain
// values and a clock, no Kubernetes.
//
// Three questions are asked, in this order:
//
//	Decide    is it this endpoint's time? One remedy at a time, with a back-off that
//	          survives the operator: a Record in the endpoint's status
//	Budget    do few enough endpoints have a remedy under way? (Ledger)
//	Systemic  is it these endpoints at all? Where more than a fifth are not Ready for one
//	          and the same reason, replacing servers one by one mends nothing (Ledger)
//
// A new image comes to all endpoints, so it comes in waves (Ledger): so many endpoints at a
// time, in the order of their names, those that are not Ready last; and the next wave only
// when every endpoint of this one serves with the image.
//
// A remedy is recorded before it is begun. So a crash at any point leads to fewer remedies
// than allowed, never to more: what the records say is all that a new process needs.
package remedy
