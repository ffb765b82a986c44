import java.util.Arrays;
import java.util.List;

import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** Software (object 9): it takes a package, and is installed and activated as it is told. */
public class Software extends BaseInstanceEnabler {
    private static final int INITIAL = 0, DELIVERED = 3, INSTALLED = 4;
    private long state = INITIAL, result = 0;
    private boolean isActive = false;

    @Override
    public synchronized ReadResponse read(LwM2mServer server, int resource) {
        switch (resource) {
        case 0:
            return ReadResponse.success(resource, "app");
        case 1:
            return ReadResponse.success(resource, "1.0");
        case 7:
            return ReadResponse.success(resource, state);
        case 9:
            return ReadResponse.success(resource, result);
        case 12:
            return ReadResponse.success(resource, isActive);
        default:
            return super.read(server, resource);
        }
    }

    @Override
    public synchronized WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
        if (resource == 3) {
            become(INITIAL, 0);
            return WriteResponse.success();
        }
        if (resource != 2 || state != INITIAL) {
            return WriteResponse.methodNotAllowed();
        }
        Firmware.say("package", (byte[]) value.getValue());
        become(DELIVERED, 3);
        return WriteResponse.success();
    }

    @Override
    public synchronized ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
        if (resource == 4 && state == DELIVERED) {
            become(INSTALLED, 2);
        } else if (resource == 6 && state == INSTALLED) {
            isActive = false;
            become(INITIAL, 0);
        } else if (resource == 10 && state == INSTALLED) {
            isActive = true;
        } else if (resource == 11 && state == INSTALLED) {
            isActive = false;
        } else {
            return ExecuteResponse.methodNotAllowed();
        }
        LeshanDevice.say("executed 9/0/%d", resource);
        return ExecuteResponse.success();
    }

    private void become(long state, long result) {
        this.state = state;
        this.result = result;
        fireResourceChange(7);
        fireResourceChange(9);
    }

    @Override
    public List<Integer> getAvailableResourceIds(ObjectModel model) {
        return Arrays.asList(0, 1, 2, 3, 4, 6, 7, 9, 10, 11, 12);
    }
}
