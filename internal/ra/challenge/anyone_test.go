package challenge

import "testing"

func TestAnyone(t *testing.T) {
	t.Parallel()
	list := List{NewAnyone("all")}
	for _, password := range []string{"", "whatever"} {
		if name, err := list.Verify(t.Context(), Attempt{Password: password}); name != "all" || err != nil {
			t.Errorf("%q: let in by %q (%v)", password, name, err)
		}
	}
}
