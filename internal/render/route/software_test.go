package route

import (
	"testing"
)

func TestSoftwareIsWhole(t *testing.T) {
	for _, s := range AllSoftware() {
		if s.ID == "" || s.Name == "" || (s.Raise.What == "") != (s.Raise.Where == "") {
			t.Errorf("%+v", s)
		}
		for _, id := range s.Makes {
			i, known := ByID(id)
			if !known {
				t.Errorf("%s makes %s, which is not known", s.ID, id)
			}
			if !s.IsOf(i.Name) {
				t.Errorf("%s is not of %s", i.Name, s.ID)
			}
		}
		if found, known := SoftwareByID(s.ID); !known || found.Name != s.Name {
			t.Errorf("%s is not found: %+v", s.ID, found)
		}
		if s.IsOf("Traefik") {
			t.Errorf("Traefik is made of %s", s.ID)
		}
	}
	if _, known := SoftwareByID("nothing"); known {
		t.Error("nothing is known")
	}
}
