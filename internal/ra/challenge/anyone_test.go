package challenge

import "testing"

func TestAnyone(t *testing.T) {
	t.Parallel()
	list := List{Anyone("all")}
	for _, password := range []string{"", "whatever"} {
		admission, err := list.Verify(t.Context(), Attempt{Password: password}, func(Verifier, error) {})
		if err != nil || admission == nil || admission.Challenge != "all" {
			t.Errorf("%q: %+v (%v)", password, admission, err)
		}
	}
}
