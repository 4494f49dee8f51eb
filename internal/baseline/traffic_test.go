package baseline

import (
	"math"
	"math/rand/v2"
	"time"
)

// fleet is a kind of traffic, as seen at real endpoints: who enrols when, and what else comes.
type fleet struct {
	name string
	// perDay enrolments on a working day, and the part of that at any other time: at night,
	// on weekends and holidays.
	perDay, atRest float64
	// zone is where the office is, in hours east of UTC.
	zone int
	// pushes: so many devices at once, about once a week, by order of an MDM.
	pushes int
	// monitor asks for the capabilities, every five minutes, as the same family.
	monitor bool
	// approval is by hand in office hours: devices poll every ten minutes until then.
	approval bool
	// stuck devices: so many a year come every minute with a challenge that is refused,
	// for some days.
	stuck float64
	// rollout: three weeks in spring and in autumn, so many times as much.
	rollout float64
	// closed between Christmas and New Year.
	closed bool
}

var fleets = []fleet{
	{name: "office of 20,000", perDay: 300, atRest: 0.02, zone: 1, pushes: 200, stuck: 4, rollout: 5},
	{name: "office of 1,000", perDay: 15, atRest: 0, zone: 1, stuck: 2, rollout: 8},
	{name: "office of 1,000 in the west, closed at Christmas", perDay: 15, atRest: 0.01, zone: -8, stuck: 2, rollout: 8, closed: true},
	{name: "office of 200, watched by a monitor", perDay: 4, atRest: 0, zone: 9, monitor: true, rollout: 10},
	{name: "phones, day and night", perDay: 200, atRest: 0.5, zone: 0, pushes: 500, stuck: 6, rollout: 4},
	{name: "routers, day and night", perDay: 12, atRest: 1, zone: 0, stuck: 2},
	{name: "approved by hand", perDay: 20, atRest: 0.05, zone: 1, approval: true, stuck: 1},
	{name: "five devices", perDay: 0.05, atRest: 0.2, zone: 1},
	{name: "laptops in rollouts only", perDay: 0.3, atRest: 0, zone: 1, rollout: 150},
}

// world plays a fleet in steps of a look.
type world struct {
	fleet
	random   *rand.Rand
	total    Counts
	polling  float64
	stuckFor time.Duration
	holidays map[int]bool // days of the year
	cut      Hop          // the hop that nothing comes to
	broken   bool
}

const step = 5 * time.Minute

func newWorld(f fleet, seed uint64) *world {
	w := &world{fleet: f, random: rand.New(rand.NewPCG(seed, 45)), holidays: map[int]bool{}}
	for len(w.holidays) < 7 { // single days
		w.holidays[w.random.IntN(350)+1] = true
	}
	easter := 85 + w.random.IntN(30)
	for _, day := range []int{1, 121, easter, easter + 3, 359, 360} {
		w.holidays[day] = true
	}
	return w
}

// poisson draws a count; for large means the normal distribution serves.
func (w *world) poisson(mean float64) uint64 {
	if mean > 50 {
		return uint64(max(0, math.Round(mean+math.Sqrt(mean)*w.random.NormFloat64())))
	}
	limit, product, n := math.Exp(-mean), w.random.Float64(), uint64(0)
	for product > limit {
		product *= w.random.Float64()
		n++
	}
	return n
}

func (w *world) works(at time.Time) bool {
	local := at.Add(time.Duration(w.zone) * time.Hour)
	atWork := local.Weekday() != time.Saturday && local.Weekday() != time.Sunday && !w.holidays[local.YearDay()]
	if w.closed && local.YearDay() >= 358 {
		atWork = false
	}
	return atWork && local.Hour() >= 8 && local.Hour() < 18
}

// mean of enrolments in a step.
func (w *world) mean(at time.Time) float64 {
	rate := w.perDay / 120 // steps of ten hours
	if !w.works(at) {
		rate *= w.atRest
	}
	if day := at.YearDay(); w.rollout > 0 && (day >= 90 && day < 111 || day >= 270 && day < 291) {
		rate *= w.rollout
	}
	return rate
}

// step plays up to a time.
func (w *world) step(at time.Time) {
	var c Counts
	n := w.poisson(w.mean(at))
	now := w.works(at)
	if w.pushes > 0 && now && w.random.Float64() < 1.0/600 {
		n += w.poisson(float64(w.pushes))
	}
	w.enrol(&c, n, now)
	if w.monitor {
		c[Arrives]++
	}
	w.stuckDevice(&c)
	if w.broken {
		for h := w.cut; h < hops; h++ {
			c[h] = 0
		}
	}
	w.total = w.total.plus(c)
}

func (w *world) enrol(c *Counts, n uint64, now bool) {
	refused := w.poisson(float64(n) * 0.03)
	good := n - min(n, refused)
	c[Arrives] += 2*n + w.poisson(float64(n)*0.2)
	c[PKIOperation] += n
	c[Opened] += n
	c[Authenticated] += good
	c[Judged] += good
	if !w.approval {
		c[Issued] += good
		return
	}
	w.polling += float64(good)
	polls := w.poisson(w.polling / 2)
	for h := PKIOperation; h <= Judged; h++ {
		c[h] += polls
	}
	if now && w.polling > 0 && !w.broken && w.random.Float64() < 0.05 {
		c[Issued] += uint64(w.polling)
		w.polling = 0
	}
}

func (w *world) stuckDevice(c *Counts) {
	if w.stuckFor <= 0 {
		if w.random.Float64() < w.stuck*float64(step)/float64(365*24*time.Hour) {
			w.stuckFor = time.Duration(w.random.Float64() * float64(5*24*time.Hour))
		}
		return
	}
	w.stuckFor -= step
	for h := Arrives; h <= Opened; h++ {
		c[h] += 5
	}
}
