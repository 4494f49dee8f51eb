package policy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"reflect"
	"slices"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

// RuleError says that a CEL rule of a template does not compile, or may cost too much.
type RuleError struct {
	// Index of the rule in spec.rules, from zero.
	Index int
	// Name of the rule; may be empty.
	Name string
	Err  error
}

// Error names the rule.
func (e *RuleError) Error() string {
	if e.Name != "" {
		return fmt.Sprintf("rules[%d] (%s): %v", e.Index, e.Name, e.Err)
	}
	return fmt.Sprintf("rules[%d]: %v", e.Index, e.Err)
}

// Unwrap returns Err.
func (e *RuleError) Unwrap() error { return e.Err }

// rule is a compiled rule.
type rule struct {
	name    string // "": it holds for every request
	program cel.Program
	message string
}

// Request is the variable csr of a rule. Its field names are API.
type Request struct {
	Subject        Subject  `cel:"subject"`
	DNSNames       []string `cel:"dnsNames"`
	EmailAddresses []string `cel:"emailAddresses"`
	URIs           []string `cel:"uris"`
	IPAddresses    []string `cel:"ipAddresses"`
	UPNs           []string `cel:"upns"`
	RegisteredIDs  []string `cel:"registeredIDs"`
	// OtherNames that are no UPN.
	OtherNames     []OtherName `cel:"otherNames"`
	DirectoryNames []Subject   `cel:"directoryNames"`
	// Usages that the CSR names, key usages and extended ones, in cert-manager's words.
	Usages []string `cel:"usages"`
	// ExtendedKeyUsages that the CSR names, all of them, as object identifiers.
	ExtendedKeyUsages []string `cel:"extendedKeyUsages"`
	// KeyAlgorithm is "RSA" or "ECDSA".
	KeyAlgorithm string `cel:"keyAlgorithm"`
	// KeySize in bits.
	KeySize int64 `cel:"keySize"`
	// SignatureDigest of the CSR's own signature, such as "SHA-256".
	SignatureDigest string `cel:"signatureDigest"`
}

// OtherName is an entry of csr.otherNames of a rule.
type OtherName struct {
	// OID is its type.
	OID string `cel:"oid"`
	// Value as in a template's sans.otherNames.
	Value string `cel:"value"`
}

// Subject is csr.subject of a rule.
type Subject struct {
	CommonName         string   `cel:"commonName"`
	SerialNumber       string   `cel:"serialNumber"`
	Organization       []string `cel:"organization"`
	OrganizationalUnit []string `cel:"organizationalUnit"`
	Country            []string `cel:"country"`
	Province           []string `cel:"province"`
	Locality           []string `cel:"locality"`
	StreetAddress      []string `cel:"streetAddress"`
	PostalCode         []string `cel:"postalCode"`
	DomainComponent    []string `cel:"domainComponent"`
	UserID             []string `cel:"userID"`
	EmailAddress       []string `cel:"emailAddress"`
}

// Context is what a rule may speak of beside the request itself.
type Context struct {
	Challenge Challenge
	Client    Client
}

// Client is the variable client of a rule: who sent the request, as far as that can
// be known. Its field names are API.
type Client struct {
	// Address is the IP address behind the trusted proxies.
	Address string `cel:"address"`
	// UserAgent is the header's value, cut to 256 bytes.
	UserAgent string `cel:"userAgent"`
	// Family of client software; "" where it is not known.
	Family string `cel:"family"`
	// Path of the request's URL.
	Path string `cel:"path"`
	// TLS is true where the connection to the server itself is encrypted.
	TLS bool `cel:"tls"`
}

// Challenge is the variable challenge of a rule: what let a request in. Its field
// names, name and data, are API.
type Challenge struct {
	// Name of the endpoint's entry; "" where a certificate let the request in.
	Name string
	// Data that the entry's service gave; may be nil.
	Data map[string]any
}

func (c Challenge) variable() map[string]any {
	data := c.Data
	if data == nil {
		data = map[string]any{}
	}
	return map[string]any{"name": c.Name, "data": data}
}

// newEnvironment declares what a rule may speak of.
func newEnvironment() (*cel.Env, error) {
	env, err := cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTags(true), reflect.TypeFor[Request](), reflect.TypeFor[Subject](), reflect.TypeFor[OtherName](), reflect.TypeFor[Client]()),
		ext.Strings(),
		cel.Variable("csr", cel.ObjectType("policy.Request")),
		cel.Variable("challenge", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("client", cel.ObjectType("policy.Client")),
	)
	if err != nil {
		return nil, fmt.Errorf("CEL environment: %w", err)
	}
	return env, nil
}

func compileRules(specs []v1alpha1.Rule) ([]rule, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	env, err := newEnvironment()
	if err != nil {
		return nil, err
	}
	var rules []rule
	var problems []error
	for i, s := range specs {
		program, err := compileRule(env, s.Expression)
		if err != nil {
			problems = append(problems, &RuleError{Index: i, Name: s.Name, Err: err})
			continue
		}
		rules = append(rules, rule{name: s.Name, program: program, message: s.Message})
	}
	return rules, errors.Join(problems...)
}

func compileRule(env *cel.Env, expression string) (cel.Program, error) {
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, fmt.Errorf("does not compile: %w", issues.Err())
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("gives %s, must give bool", ast.OutputType())
	}
	if err := checkCost(env, ast); err != nil {
		return nil, err
	}
	program, err := env.Program(ast, cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("does not compile: %w", err)
	}
	return program, nil
}

// judgeRules wants every rule of a name to be true. One that cannot be evaluated is not.
func (p *Policy) judgeRules(name string, c *content, key *publicKey, in Context) error {
	if len(p.rules) == 0 {
		return nil
	}
	variables := map[string]any{"csr": newRequest(c, key), "challenge": in.Challenge.variable(), "client": in.Client}
	for _, r := range p.rules {
		if r.name != name {
			continue
		}
		out, _, err := r.program.Eval(variables)
		if err != nil {
			return refusal.New(refusal.RuleNotMet, "%s", r.message).Because(err)
		}
		if held, ok := out.Value().(bool); !ok || !held {
			return refusal.New(refusal.RuleNotMet, "%s", r.message)
		}
	}
	return nil
}

// NamedRules are the names of the rules that hold only for requests whose challenge
// names them.
func (p *Policy) NamedRules() []string {
	var names []string
	for _, r := range p.rules {
		if r.name != "" {
			names = append(names, r.name)
		}
	}
	return names
}

// JudgeNamed applies the rule of a name, beside what Judge applies. Its error is a
// *refusal.Error.
func (p *Policy) JudgeNamed(name string, csr *x509.CertificateRequest, in Context) error {
	if !slices.Contains(p.NamedRules(), name) {
		return refusal.New(refusal.RuleNotMet, "the template's rule %q does not exist any more", name)
	}
	c, err := p.read(csr)
	if err != nil {
		return err
	}
	key, err := p.judgeKey(c.publicKey)
	if err != nil {
		return err
	}
	return p.judgeRules(name, c, key, in)
}

func newRequest(c *content, key *publicKey) Request {
	return Request{
		Subject:        newSubject(c.subject),
		DNSNames:       c.names(dnsName),
		EmailAddresses: c.names(rfc822Name),
		URIs:           append(c.names(uniformID), c.names(sidURI)...),
		IPAddresses:    c.names(ipAddress),
		UPNs:           c.names(upnName),
		RegisteredIDs:  c.names(registeredID),
		OtherNames:     c.otherNames(),
		DirectoryNames: c.directoryNames(),

		Usages:            words(c.usages()),
		ExtendedKeyUsages: c.purposeOIDs(),
		KeyAlgorithm:      string(key.algorithm),
		KeySize:           int64(key.size),
		SignatureDigest:   string(c.digest),
	}
}

func words(usages []certmanagerv1.KeyUsage) []string {
	out := make([]string, len(usages))
	for i, u := range usages {
		out[i] = string(u)
	}
	return out
}

func (c *content) purposeOIDs() []string {
	out := make([]string, len(c.extKeyUsages))
	for i, u := range c.extKeyUsages {
		out[i] = u.oid
	}
	return out
}

func (c *content) otherNames() []OtherName {
	out := []OtherName{}
	for _, n := range c.sans {
		if n.kind == otherName {
			out = append(out, OtherName{OID: n.oid, Value: n.value})
		}
	}
	return out
}

func (c *content) directoryNames() []Subject {
	out := []Subject{}
	for _, text := range c.names(directoryName) {
		attributes, err := parseDirectoryName(text)
		if err == nil { // it is what formatDirectoryName wrote
			out = append(out, newSubject(attributes))
		}
	}
	return out
}

func newSubject(subject []attribute) Subject {
	all := func(name v1alpha1.SubjectAttribute) []string { return values(subject, name) }
	return Subject{
		CommonName:         first(all(v1alpha1.CommonName)),
		SerialNumber:       first(all(v1alpha1.SerialNumber)),
		Organization:       all(v1alpha1.Organization),
		OrganizationalUnit: all(v1alpha1.OrganizationalUnit),
		Country:            all(v1alpha1.Country),
		Province:           all(v1alpha1.Province),
		Locality:           all(v1alpha1.Locality),
		StreetAddress:      all(v1alpha1.StreetAddress),
		PostalCode:         all(v1alpha1.PostalCode),
		DomainComponent:    all(v1alpha1.DomainComponent),
		UserID:             all(v1alpha1.UserID),
		EmailAddress:       all(v1alpha1.EmailAddress),
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// names are the alternative names of one type.
func (c *content) names(kind nameType) []string {
	out := []string{}
	for _, n := range c.sans {
		if n.kind == kind {
			out = append(out, n.value)
		}
	}
	return out
}
