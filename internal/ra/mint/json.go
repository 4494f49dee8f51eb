package mint

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// maxBody bounds a request, in bytes.
const maxBody = 64 << 10

// serveJSON mints by a raconfig.ChallengeRequest.
func (m *Minter) serveJSON(w http.ResponseWriter, r *http.Request, x *exchange) {
	asked, err := readRequest(w, r)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	from := x.snapshot.OneTime(asked.Challenge)
	if from == nil {
		refuse(w, r, http.StatusBadRequest, fmt.Sprintf("this endpoint has no challenge %q of type OneTime", asked.Challenge))
		return
	}
	order, err := newOrder(asked, x.snapshot)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, err.Error())
		return
	}
	minted, err := m.mint(r, x, from, order)
	if err != nil {
		refuseOrder(w, r, err)
		return
	}
	reply(w, http.StatusOK, raconfig.ChallengeReply{
		Challenge: minted.Challenge,
		Expires:   minted.Expires.UTC(),
		Name:      from.Name(),
		Template:  order.Template,
		Form:      string(order.Form),
	})
}

func refuseOrder(w http.ResponseWriter, r *http.Request, err error) {
	var wrong *onetime.OrderError
	if errors.As(err, &wrong) {
		refuse(w, r, http.StatusBadRequest, wrong.Error())
		return
	}
	refuse(w, r, http.StatusInternalServerError, "no challenge could be made")
}

// readRequest wants the media type, so that no web page can make a browser ask.
func readRequest(w http.ResponseWriter, r *http.Request) (*raconfig.ChallengeRequest, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, errors.New("the Content-Type must be application/json")
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	asked := &raconfig.ChallengeRequest{}
	if err := decoder.Decode(asked); err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("the request has something behind its end")
	}
	return asked, nil
}

func newOrder(asked *raconfig.ChallengeRequest, s *reload.Snapshot) (onetime.Order, error) {
	names, err := policy.ParseNames(asked.Subject, asked.AlternativeNames)
	if err != nil {
		return onetime.Order{}, fmt.Errorf("names to be bound to: %w", err)
	}
	order := onetime.Order{
		Form: onetime.Form(cmp.Or(asked.Form, string(onetime.Standard))),
		Binding: onetime.Binding{
			Template:         cmp.Or(asked.Template, s.DefaultTemplate().Name),
			Subject:          given(asked.Subject, names.Subject),
			AlternativeNames: given(asked.AlternativeNames, names.AlternativeNames),
			Rule:             asked.Rule,
		},
		Data: asked.Data,
	}
	if asked.Validity != "" {
		if order.Validity, err = time.ParseDuration(asked.Validity); err != nil {
			return order, fmt.Errorf("validity: %w", err)
		}
	}
	return order, nil
}

// given keeps the difference between no names and none that were asked for.
func given(asked, canonical []string) []string {
	if asked == nil {
		return nil
	}
	return append([]string{}, canonical...)
}

// refuse answers programs in JSON, and a person at NDES's page in words.
func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	if canonical(r.URL.Path) == NDESPath {
		servePersonPage(w, status, text)
		return
	}
	reply(w, status, raconfig.ChallengeError{Error: text})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a reader who has gone needs no answer
}
