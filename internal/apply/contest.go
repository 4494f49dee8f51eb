package apply

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

const (
	// contestFlips is how often within contestWindow a field is found changed before it
	// counts as contested; it has been put back once less.
	contestFlips  = 3
	contestWindow = 10 * time.Minute
	// contestRest is how long a contested field is left alone before another try.
	contestRest = time.Hour
)

// ContestedError says that somebody else keeps changing fields of a child that were
// put back each time. They are left as they are; the rest of the child is as wanted.
type ContestedError struct {
	Object Ref
	// Fields, such as spec.template.spec.containers[ra].image, in their order.
	Fields []string
	// Managers are those who changed them, as Kubernetes' managedFields call them.
	Managers []string
}

// Error names the object, the fields, who changes them, and the remedy.
func (e *ContestedError) Error() string {
	return fmt.Sprintf("%s: %s keeps changing %s, so it is left as it is for now: "+
		"make the other stop, or change what is wanted here; it is put back when that lasts",
		e.Object, strings.Join(e.Managers, " and "), strings.Join(e.Fields, ", "))
}

// contests remembers which fields of children were found changed, and when. It forgets
// with the process: then a contest is found out again.
type contests struct {
	clock clock.PassiveClock

	mu     sync.Mutex
	fights map[Ref]*fight
}

// fight is about one child.
type fight struct {
	// over is what is wanted of the child, and what the user asked for: when either
	// is another, so is the fight.
	over string
	// flips are when each field was found changed.
	flips map[string][]time.Time
	// conceded are the fields that are left alone.
	conceded map[string]concession
}

// concession is a field that is left to another manager.
type concession struct {
	field   path
	manager string
	until   time.Time
}

func newContests(c clock.PassiveClock) *contests {
	return &contests{clock: c, fights: map[Ref]*fight{}}
}

// conceded lists the fields of a child that are left alone at present, of those that differ.
func (c *contests) conceded(ref Ref, over string, differing []path) []concession {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fights[ref]
	if f == nil {
		return nil
	}
	if f.over != over {
		delete(c.fights, ref)
		return nil
	}
	var out []concession
	for name, given := range f.conceded {
		differs := slices.ContainsFunc(differing, func(p path) bool { return p.String() == name })
		if !differs || !c.clock.Now().Before(given.until) {
			delete(f.conceded, name)
			delete(f.flips, name)
			continue
		}
		out = append(out, given)
	}
	slices.SortFunc(out, func(a, b concession) int { return slices.Compare(a.field, b.field) })
	return out
}

// flipped takes note of fields that somebody changed; those that were changed too often
// are conceded from now on.
func (c *contests) flipped(ref Ref, over string, fields []path, by func(path) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fights[ref]
	if f == nil {
		f = &fight{over: over, flips: map[string][]time.Time{}, conceded: map[string]concession{}}
		c.fights[ref] = f
	}
	now := c.clock.Now()
	f.forget(now)
	for _, field := range fields {
		name := field.String()
		f.flips[name] = append(f.flips[name], now)
		if len(f.flips[name]) >= contestFlips {
			f.conceded[name] = concession{field: field, manager: by(field), until: now.Add(contestRest)}
		}
	}
}

// forget drops what happened too long ago to count.
func (f *fight) forget(now time.Time) {
	for name, times := range f.flips {
		f.flips[name] = slices.DeleteFunc(times, func(t time.Time) bool { return now.Sub(t) > contestWindow })
		if len(f.flips[name]) == 0 {
			delete(f.flips, name)
		}
	}
}

// over says what a fight would be about: the wanted content, and the user's request to try at once.
func over(want *unstructured.Unstructured, request string) string {
	return appliedHash(want) + " " + request
}

func requestOf(annotations map[string]string) string {
	return annotations[v1alpha1.AnnotationReconcile]
}

func contestedError(ref Ref, given []concession) *ContestedError {
	e := &ContestedError{Object: ref}
	for _, g := range given {
		e.Fields = append(e.Fields, g.field.String())
		if !slices.Contains(e.Managers, g.manager) {
			e.Managers = append(e.Managers, g.manager)
		}
	}
	return e
}

func isConceded(given []concession, field path) bool {
	return slices.ContainsFunc(given, func(g concession) bool { return slices.Equal(g.field, field) })
}
