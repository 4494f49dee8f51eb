package route

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Implementation is what there is to know about one implementation of Ingress or of
// the Gateway API. It is recognised by what its class says of itself, which proves
// nothing: others take the names of well-known controllers. The probes have the last word.
type Implementation struct {
	// ID names it in files: lower case and hyphens.
	ID string
	// Name for people.
	Name string
	// IngressControllers are values of an IngressClass's spec.controller, or what they begin with before a slash.
	IngressControllers []string
	// GatewayControllers are values of a GatewayClass's spec.controllerName, likewise.
	GatewayControllers []string
	// ClassNames are names of IngressClasses, for implementations that heed the name alone.
	ClassNames []string
	// Classless: it has no IngressClass, and goes by the annotation kubernetes.io/ingress.class.
	Classless bool
	// HTTPAndHTTPS are the annotations by which plain HTTP and HTTPS are both served, without a redirect.
	HTTPAndHTTPS map[string]string
	// HTTPSOnly are the annotations by which plain HTTP is not served. Empty where
	// the implementation cannot express that for one Ingress; then plain HTTP is
	// served, or not, as its administrator has set it for all.
	HTTPSOnly map[string]string
	// Always are the annotations of every Ingress: time for an answer, room for a message.
	Always map[string]string
	// Service are the annotations of the Service, for implementations that look there.
	Service map[string]string
	// URLs is the verdict on long URLs.
	URLs v1alpha1.LongURLs
	// LimitBytes is the longest request target that passes as installed, in bytes; 0 if unknown.
	LimitBytes int64
	// MaxBytes is the longest that any setting lets pass, in bytes; 0: memory is the limit, or nobody knows.
	MaxBytes int64
	// OverLimit is what a device gets that exceeds the limit.
	OverLimit string
	// Raise says how to raise the limit to 64 KiB. The first that is possible suffices.
	Raise []Setting
	// Global is the key of the controller's ConfigMap that the operator can keep, if it is granted that.
	Global *GlobalKey
	// Harmful are annotations with which somebody else breaks SCEP.
	Harmful []Harm
	// Remarks for docs/ingress.md.
	Remarks string
}

// Setting is one way in which an administrator raises a limit.
type Setting struct {
	// Where it is made.
	Where string
	// What is set there: key and value in the words of the implementation.
	What string
	// Copy is a command or manifest to copy, with the names of a default installation.
	Copy string
}

// String says what to set and where.
func (s Setting) String() string { return s.What + " in " + s.Where }

// Harm is an annotation that breaks SCEP.
type Harm struct {
	// Annotation is its name. One that ends in "*" stands for all that begin so.
	Annotation string
	// Unless lists the values with which it does no harm. Empty ones never do any.
	Unless []string
	// Does says what it does to requests.
	Does string
}

// What harmful annotations do to requests.
const (
	redirects = "redirects requests, which SCEP clients do not follow"
	rewrites  = "rewrites the path that devices ask for"
	hidesHTTP = "keeps plain HTTP from being served"
)

// off are the usual values of a switch that is off.
var off = []string{"false", "disabled", "off", "no"}

// unknown stands for every implementation that is not in the table.
var unknown = Implementation{ID: "unknown", Name: "this implementation", URLs: v1alpha1.LongURLsUnknown}

// Implementations lists all that is known, in the order of docs/ingress.md.
func Implementations() []Implementation {
	return slices.Concat(nginxFamily, haproxyFamily, goFamily, envoyFamily, clouds, fronts)
}

// ByID finds an implementation by its ID.
func ByID(id string) (Implementation, bool) {
	for _, i := range Implementations() {
		if i.ID == id {
			return i, true
		}
	}
	return unknown, false
}

// Class is what an IngressClass says of its implementation.
type Class struct {
	Name       string
	Controller string
}

// ByIngressClass finds an implementation by an IngressClass: by its controller, or
// else by its name.
func ByIngressClass(class Class) Implementation {
	for _, i := range Implementations() {
		if names(i.IngressControllers, class.Controller) {
			return i
		}
	}
	for _, i := range Implementations() {
		if slices.Contains(i.ClassNames, class.Name) {
			return i
		}
	}
	return unknown
}

// ByGatewayController finds an implementation by a GatewayClass's spec.controllerName.
func ByGatewayController(controller string) Implementation {
	for _, i := range Implementations() {
		if names(i.GatewayControllers, controller) {
			return i
		}
	}
	return unknown
}

func names(known []string, controller string) bool {
	return slices.ContainsFunc(known, func(name string) bool {
		return controller == name || strings.HasPrefix(controller, name+"/")
	})
}

// Known says whether the implementation is in the table.
func (i Implementation) Known() bool { return i.ID != unknown.ID }

// Advice is what is to be done about the limit, to copy; nil where nothing is.
func (i Implementation) Advice() []v1alpha1.ExposureAdvice {
	var out []v1alpha1.ExposureAdvice
	for _, s := range i.Raise {
		out = append(out, v1alpha1.ExposureAdvice{About: v1alpha1.AdviceLongURLs, Do: s.String(), Copy: s.Copy})
	}
	return out
}

// Foreign lists, as sentences, what of an object's annotations breaks SCEP and was not
// set by us. Of an unknown implementation all harmful annotations count.
func (i Implementation) Foreign(have, ours map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if value, mine := ours[name]; mine && value == have[name] {
			continue
		}
		for _, h := range i.harms() {
			if h.does(name, have[name]) {
				out = append(out, fmt.Sprintf("annotation %s %s", name, h.Does))
				break
			}
		}
	}
	return out
}

func (i Implementation) harms() []Harm {
	if i.Known() {
		return i.Harmful
	}
	var all []Harm
	for _, each := range Implementations() {
		all = append(all, each.Harmful...)
	}
	return all
}

func (h Harm) does(name, value string) bool {
	prefix, open := strings.CutSuffix(h.Annotation, "*")
	if matches := name == h.Annotation || open && strings.HasPrefix(name, prefix); !matches {
		return false
	}
	value = strings.ToLower(strings.TrimSpace(value))
	return value != "" && !slices.Contains(h.Unless, value)
}
