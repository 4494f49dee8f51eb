package conformance

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/debian"
	"github.com/scepter-pki/scepter/test/stock"
)

// legacy are the algorithms that an endpoint allows beside AES and SHA-2, as its
// administrator writes them.
type legacy []v1alpha1.LegacyAlgorithm

// settings are those that the RA makes of an endpoint with them.
func (l legacy) settings() scep.Settings {
	s := scep.Settings{Renewal: true}
	switches := map[v1alpha1.LegacyAlgorithm]*bool{
		v1alpha1.SHA1: &s.AllowSHA1, v1alpha1.MD5: &s.AllowMD5,
		v1alpha1.TripleDES: &s.AllowTripleDES, v1alpha1.SingleDES: &s.AllowDES,
	}
	for _, a := range l {
		*switches[a] = true
	}
	return s
}

var (
	allowMD5        = legacy{v1alpha1.MD5}
	allowSHA1       = legacy{v1alpha1.SHA1}
	allowSHA1AndDES = legacy{v1alpha1.SHA1, v1alpha1.SingleDES}
	allow3DES       = legacy{v1alpha1.TripleDES}
)

// client is a client as it comes, and what there is to know of it.
type client struct {
	name    string
	version func(*testing.T) string
	from    string
	stock.Client
	// legacy is what an endpoint must allow for it.
	legacy legacy
	// refusal is what it says when it is refused, and shortChain when GetCACert ends
	// with the issuing CA; "" if it does not mind.
	refusal, shortChain string
	// alwaysPOST says that it takes no notice of a GetCACaps without POSTPKIOperation.
	alwaysPOST bool
	// renewing are its other ways to renew.
	renewing []stock.Client
	// large makes its requests large in a way that it can be asked to.
	large func(*stock.Request)
	ways  []way
}

// way is a client that uses certain algorithms: told so by its options, or by what
// GetCACaps leaves out.
type way struct {
	told string
	stock.Client
	hide []string
	// legacy must be allowed; without it the answer is badAlg.
	legacy legacy
	// impossible is what the client says when it cannot, and refused what the RA
	// says when no setting allows it.
	impossible, refused string
	// ec says that its key cannot decrypt: the answer is encrypted to the challenge.
	ec bool
}

// clients are all of them; bin holds those from Go modules.
func clients(bin string) []client {
	return []client{strongSwan(), certmonger(), scepClient(), laterScepClient(bin), smallstep(bin), openssl()}
}

func strongSwan() client {
	with := func(options ...string) stock.Client { return &stock.StrongSwan{Run: local, Options: options} }
	return client{
		name: "strongSwan `pki --scep`", version: packaged("strongswan-pki", 3), from: "Debian `strongswan-pki`",
		Client: with(), refusal: "badRequest", shortChain: "exit status 1", large: manyNames, alwaysPOST: true,
		ways: []way{
			{told: "as it comes", Client: with()},
			{told: "`--digest sha384`", Client: with("--digest", "sha384")},
			{told: "`--digest sha512`", Client: with("--digest", "sha512")},
			{told: "`--digest sha1`", Client: with("--digest", "sha1"), legacy: allowSHA1},
			{told: "`--digest sha224`", Client: with("--digest", "sha224"), refused: "SHA-224"},
			{told: "`--rsa-padding pss`", Client: with("--rsa-padding", "pss")},
			{told: "`--cipher des3`", Client: with("--cipher", "des3"), legacy: allow3DES},
			{told: "GetCACaps without SHA-384", Client: with(), hide: []string{"SHA-384"}, impossible: "sha256 digest algorithm not supported by CA"},
		},
	}
}

func certmonger() client {
	with := func(config string) stock.Client { return &stock.Certmonger{Run: local, Config: config} }
	digest := func(name string) stock.Client { return with("[defaults]\ndigest = " + name + "\n") }
	return client{
		name: "certmonger", version: packaged("certmonger", 3), from: "Debian `certmonger`",
		Client: with(""), refusal: "CA_REJECTED", shortChain: "certificate verify error", large: manyNames,
		renewing: []stock.Client{&stock.Certmonger{Run: local, Rekey: true}},
		ways: []way{
			{told: "as it comes", Client: with("")},
			{told: "`digest = sha384`", Client: digest("sha384")},
			{told: "`digest = sha512`", Client: digest("sha512")},
			{told: "`digest = sha1`", Client: digest("sha1"), legacy: allowSHA1},
			{told: "GetCACaps without AES", Client: with(""), hide: []string{"AES", "SCEPStandard"}, legacy: allow3DES},
			{told: "GetCACaps without AES and DES3", Client: with(""), hide: []string{"AES", "DES3", "SCEPStandard"}},
			{told: "GetCACaps without SHA-2", Client: with(""), hide: []string{"SHA-256", "SHA-384", "SHA-512", "SCEPStandard"}},
		},
	}
}

func scepClient() client {
	c := &stock.ScepClient{Run: local}
	return client{
		name: "micromdm `scepclient`", version: packaged("scep", 3), from: "Debian `scep`",
		Client: c, refusal: "badRequest", legacy: allowSHA1AndDES, large: longName,
		ways: []way{{told: "as it comes", Client: c, legacy: allowSHA1AndDES}},
	}
}

func laterScepClient(bin string) client {
	with := func(options ...string) stock.Client {
		return &stock.ScepClient{Run: local, Program: filepath.Join(bin, stock.LaterScepClient), Options: options}
	}
	return client{
		name: "micromdm `scepclient`", version: required("github.com/micromdm/scep/v2"), from: "Go module `github.com/micromdm/scep/v2`",
		Client: with(), refusal: "badRequest", legacy: allowSHA1AndDES, large: longName,
		ways: []way{
			{told: "as it comes", Client: with(), legacy: allowSHA1AndDES},
			{told: "`-key-encipherment-selector`", Client: with("-key-encipherment-selector"), legacy: allowSHA1AndDES},
		},
	}
}

func smallstep(bin string) client {
	with := func(options ...string) stock.Client {
		return &stock.Smallstep{Run: local, Program: filepath.Join(bin, stock.SmallstepProgram), Options: options}
	}
	modern := func(options ...string) stock.Client {
		return with(append([]string{"-cipher", "AES-128-CBC", "-digest", "SHA-256"}, options...)...)
	}
	return client{
		name: "smallstep's messages", version: required("github.com/smallstep/pkcs7"), from: "Go modules `github.com/smallstep/scep`, `pkcs7`",
		Client: modern(), refusal: "badRequest", large: manyNames,
		ways: []way{
			{told: "the library's defaults", Client: with(), legacy: allowSHA1AndDES},
			{told: "AES-128-CBC, SHA-256", Client: modern()},
			{told: "AES-256-CBC, SHA-256", Client: modern("-cipher", "AES-256-CBC")},
			{told: "AES-128-GCM, SHA-256", Client: modern("-cipher", "AES-128-GCM")},
			{told: "AES-256-GCM, SHA-256", Client: modern("-cipher", "AES-256-GCM")},
			{told: "AES-128-CBC, SHA-384", Client: modern("-digest", "SHA-384")},
			{told: "AES-128-CBC, SHA-512", Client: modern("-digest", "SHA-512")},
			{told: "AES-128-CBC, SHA-1", Client: modern("-digest", "SHA-1"), legacy: allowSHA1},
			{told: "OAEP with SHA-1", Client: modern("-transport", "OAEP-SHA-1")},
			{told: "OAEP with SHA-256", Client: modern("-transport", "OAEP-SHA-256")},
		},
	}
}

func openssl() client {
	encrypt := func(options ...string) stock.Client { return &stock.OpenSSL{Run: local, EncryptOptions: options} }
	oaep := func(hash string) stock.Client {
		return &stock.OpenSSL{Run: local, RecipientOptions: []string{
			"-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:" + hash, "-keyopt", "rsa_mgf1_md:" + hash,
		}}
	}
	sign := func(digest string, pss bool) stock.Client {
		return &stock.OpenSSL{Run: local, Digest: digest, PSS: pss}
	}
	ec := &stock.OpenSSL{Run: local, KeyOptions: []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}}
	return client{
		name: "`openssl cms` and `curl`", version: packaged("openssl", 2), from: "Debian `openssl`, `curl`",
		Client: &stock.OpenSSL{Run: local}, refusal: "failInfo 2: wrong challenge password", shortChain: "unable to get issuer certificate", large: manyNames,
		ways: []way{
			{told: "`-aes-128-cbc`", Client: encrypt("-aes-128-cbc")},
			{told: "`-aes-192-cbc`", Client: encrypt("-aes-192-cbc")},
			{told: "`-aes-256-cbc`", Client: encrypt("-aes-256-cbc")},
			{told: "`-aes-128-gcm`", Client: encrypt("-aes-128-gcm")},
			{told: "`-aes-192-gcm`", Client: encrypt("-aes-192-gcm")},
			{told: "`-aes-256-gcm`", Client: encrypt("-aes-256-gcm")},
			{told: "`-des3`", Client: encrypt("-des3"), legacy: allow3DES},
			{told: "`-des`", Client: encrypt("-des"), impossible: "unsupported"},
			{told: "`-aes-128-cbc -stream`", Client: encrypt("-aes-128-cbc", "-stream")},
			{told: "`-aes-128-cbc -keyid`", Client: encrypt("-aes-128-cbc", "-keyid")},
			{told: "`rsa_padding_mode:oaep`", Client: oaep("sha1")},
			{told: "`rsa_oaep_md:sha256`", Client: oaep("sha256")},
			{told: "`-md sha384`", Client: sign("sha384", false)},
			{told: "`-md sha512`", Client: sign("sha512", false)},
			{told: "`-md sha1`", Client: sign("sha1", false), legacy: allowSHA1},
			{told: "`-md md5`", Client: sign("md5", false), legacy: allowMD5},
			{told: "`rsa_padding_mode:pss`", Client: sign("sha256", true)},
			{told: "`rsa_padding_mode:pss -md sha512`", Client: sign("sha512", true)},
			{told: "`genpkey -algorithm EC`", Client: ec, ec: true},
		},
	}
}

// packaged is the version of a Debian package, as many parts of it as matter.
func packaged(name string, parts int) func(*testing.T) string {
	return func(t *testing.T) string {
		version, err := debian.Version(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Split(version, ".")
		return strings.Join(all[:min(parts, len(all))], ".")
	}
}

// required is the version of a module that the clients are built from.
func required(path string) func(*testing.T) string {
	return func(t *testing.T) string {
		version, err := stock.ModuleVersion(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(version, "v")
	}
}
