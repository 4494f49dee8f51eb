// Package baseline compares how far the clients of an endpoint come with how far they
// came before, and names the hop at which that broke.
//
// It is given the counters of the enrolment funnel now and then, and keeps for each
// family of clients what is habitual: in which hours of the last eight weeks something
// came to a hop, and how many requests came to the hop before it without one that came
// on. Both are records of the family's own past, not of a distribution that requests
// would have to follow: they come in bursts, and one device that is stuck sends as many
// as a hundred that are well. docs/design/funnel.md has the statistics and how often
// they err.
//
// Nothing here reads a clock or writes anything: the same looks give the same answer.
package baseline
