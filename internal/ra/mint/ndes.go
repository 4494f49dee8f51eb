package mint

import (
	"cmp"
	"crypto/md5" //nolint:gosec // what NDES shows, and what people compare
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Operations of NDES's page; no operation is the page itself.
const (
	generateChallenge = "NDESGenerateChallenge"
	getThumbprint     = "NDESGetCACertThumbprint"
)

// serveNDES answers as NDES does. Of its parameters, keyUsage and params are taken
// and change nothing: they were for policy modules.
func (m *Minter) serveNDES(w http.ResponseWriter, r *http.Request, x *exchange) {
	from, entry := ndesEntry(x.snapshot)
	if from == nil {
		refuse(w, r, http.StatusNotFound, "no challenge of this endpoint has oneTime.ndes")
		return
	}
	operation := parameter(r.URL.Query(), "operation")
	if operation == getThumbprint {
		serveText(w, thumbprint(caCertificate(x.snapshot)))
		return
	}
	if operation != "" && operation != generateChallenge {
		refuse(w, r, http.StatusBadRequest, "operation is neither "+generateChallenge+" nor "+getThumbprint)
		return
	}
	minted, err := m.mint(r, x, from, onetime.Order{
		Form:    onetime.NDES,
		Binding: onetime.Binding{Template: cmp.Or(entry.NDES.Template, x.snapshot.DefaultTemplate().Name)},
	})
	if err != nil {
		refuseOrder(w, r, err)
		return
	}
	if operation == generateChallenge {
		serveText(w, minted.Challenge)
		return
	}
	validity := time.Duration(entry.ValiditySeconds) * time.Second
	serveNDESPage(w, entry.NDES.Encoding, newPasswordPage(caCertificate(x.snapshot), minted.Challenge, validity))
}

// ndesEntry is the first challenge that has the NDES form; nil if none has.
func ndesEntry(s *reload.Snapshot) (*onetime.OneTime, *raconfig.OneTime) {
	for _, c := range s.Config.Challenges {
		if c.OneTime == nil || c.OneTime.NDES == nil {
			continue
		}
		if from := s.OneTime(c.Name); from != nil {
			return from, c.OneTime
		}
	}
	return nil, nil
}

func encodingOf(s *reload.Snapshot) v1alpha1.NDESEncoding {
	if _, entry := ndesEntry(s); entry != nil {
		return entry.NDES.Encoding
	}
	return v1alpha1.NDESUTF8
}

// parameter reads a query parameter, whose name has no case on Windows.
func parameter(query url.Values, name string) string {
	for key, values := range query {
		if strings.EqualFold(key, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// caCertificate is the CA that devices get from GetCACert; nil if there is none.
func caCertificate(s *reload.Snapshot) *x509.Certificate {
	if len(s.Identity.CAChain) == 0 {
		return nil
	}
	return s.Identity.CAChain[0]
}

// thumbprint is an MD5 hash in four groups of eight digits.
func thumbprint(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	sum := md5.Sum(c.Raw) //nolint:gosec // see the import
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	return digits[:8] + " " + digits[8:16] + " " + digits[16:24] + " " + digits[24:]
}

func serveText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // a reader who has gone needs no answer
}

// Pages of NDES. Management systems look for their very words and tags, down to
// the blank behind <B>, so nothing here is to be improved.
const (
	pageHead = `<HTML><Head><Meta HTTP-Equiv="Content-Type" Content="text/html; charset=UTF-8"><Title>Network Device Enrollment Service</Title></Head>` +
		`<Body BgColor=#FFFFFF><Font ID=locPageFont Face="Arial"><Table Border=0 CellSpacing=0 CellPadding=4 Width=100% BgColor=#008080><TR><TD>` +
		`<Font ID=locPageTitleFont Face="Arial" Size=-1 Color=#FFFFFF><LocID ID=locMSCertSrv>Network Device Enrollment Service</LocID></Font></TD></TR></Table>` +
		`<P ID=locPageTitle> Network Device Enrollment Service allows you to obtain certificates for routers or other network devices using the Simple Certificate Enrollment Protocol (SCEP). </P>`
	pageTail = ` <P ID=locPageDesc> For more information see  <A HREF=http://go.microsoft.com/fwlink/?LinkId=67852>Using Network Device Enrollment Service </A>. </P> <P></Font></Body></HTML>`

	// passwordPage has places for what newPasswordPage fills in.
	passwordPage = pageHead +
		`<P> To complete certificate enrollment for your network device you will need the following information: ` +
		`<P> The thumbprint (hash value) for the CA certificate is: <B> {thumbprint} </B> ` +
		`<P> The enrollment challenge password is: <B> {challenge} </B> ` +
		`<P> This password can be used only once and will expire within {minutes} minutes. ` +
		`<P> Each enrollment requires a new challenge password. You can refresh this web page to obtain a new challenge password. </P>` + pageTail
)

// forbiddenPage is for somebody who is known and may not mint; its status is 200.
const forbiddenPage = pageHead +
	`<P> You do not have sufficient permission to enroll with SCEP.  Please contact your system administrator. </P>` + pageTail

func newPasswordPage(ca *x509.Certificate, challenge string, validity time.Duration) string {
	return strings.NewReplacer(
		"{thumbprint}", thumbprint(ca),
		"{challenge}", challenge,
		"{minutes}", strconv.Itoa(int(validity.Minutes())),
	).Replace(passwordPage)
}

// serveNDESPage sends a page in UTF-16 with a byte order mark and, as NDES does,
// with a NUL at its end and without a charset in the header; or in UTF-8.
func serveNDESPage(w http.ResponseWriter, encoding v1alpha1.NDESEncoding, page string) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	if encoding == v1alpha1.NDESUTF8 {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(page))
		return
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write(encodeUTF16("\uFEFF" + page + "\x00"))
}

func encodeUTF16(text string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return out
}
